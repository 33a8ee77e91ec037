//! Images that are made to hurt whoever runs them.

use std::process::Command;

use harness::{TestEnvironment, for_everyone, for_one_user, images};

use super::Attack;
use super::attack::{Victim, breached, image_with};
use crate::support::must;

for_everyone!(
    links_in_an_image_lead_nowhere_else,
    an_image_cannot_have_a_link_where_the_kernels_files_go,
    files_of_ours_are_not_written_through_links,
);
for_one_user!(
    a_working_directory_that_an_image_asks_for_is_made_in_the_container,
    covers_do_not_come_from_the_image,
    users_are_looked_up_without_the_images_libraries,
    a_file_of_users_that_is_none_does_no_harm,
    a_user_is_exactly_the_user_that_was_named,
);

/// CVE-2026-41579, CVE-2026-47766, CVE-2021-30465, CVE-2026-55686: what we make and mount goes where the image's links point.
fn links_in_an_image_lead_nowhere_else(env: &TestEnvironment) {
    let victim = Victim::new(env);
    for directory in ["etc", "run"] {
        let link = format!("ln -s {} {directory}", victim.path());
        let attack = Attack::by("true").in_image(image_with(env, directory, &[&link]));
        attack.is_stopped_by_if(env, &["ImageLinks"], |_| victim.is_hurt());
        let _ = attack
            .run(env)
            .expect(1)
            .says("is not usable as a directory");
    }
}

/// CVE-2019-19921, CVE-2025-52565: `/proc` would be another directory, and its masks with it.
fn an_image_cannot_have_a_link_where_the_kernels_files_go(env: &TestEnvironment) {
    let victim = Victim::new(env);
    for directory in ["dev", "proc", "sys", "workspace"] {
        let link = format!("ln -s {} {directory}", victim.path());
        let image = image_with(env, directory, &[&link]);
        let done = Attack::by("true").in_image(image).run(env).expect(1);
        let _ = done.says(&format!(
            "the image's /{directory} is not usable as a directory"
        ));
        assert!(!victim.is_hurt());
    }
}

fn files_of_ours_are_not_written_through_links(env: &TestEnvironment) {
    let victim = Victim::new(env);
    for file in ["etc/hosts", "run/slipway/output", "run/slipway/script"] {
        let script = format!(
            "mkdir -p $(dirname {file}); ln -s {}/written {file}",
            victim.path()
        );
        let image = image_with(env, &file.replace('/', "."), &[&script]);
        Attack::by("true")
            .in_image(image)
            .is_stopped_by_if(env, &["ImageLinks"], |_| victim.is_hurt());
    }
}

/// CVE-2026-55686: `WorkingDir` is `/link/made`, and `/link` points to a directory of the machine.
fn a_working_directory_that_an_image_asks_for_is_made_in_the_container(env: &TestEnvironment) {
    let victim = Victim::new(env);
    let layout = env.root().join("layout");
    let _ = must(
        Command::new("cp")
            .arg("-a")
            .arg(images::path("umoci"))
            .arg(&layout),
    );
    let link = env.root().join("link");
    std::os::unix::fs::symlink(victim.path().to_string(), &link).expect("make a link");
    let image = format!("{}:latest", layout.display());
    let _ = must(
        Command::new("umoci")
            .args(["insert", "--image", &image])
            .arg(&link)
            .arg("/link"),
    );
    let _ = must(Command::new("umoci").args([
        "config",
        "--image",
        &image,
        "--config.workingdir",
        "/link/made",
        "--config.user",
        "0",
        "--config.entrypoint",
        "pwd",
    ]));
    let _ = must(Command::new("chmod").args(["-R", "a+rX"]).arg(&layout));
    env.pipeline(&format!(
        "image: host\nsteps: [{{ name: step, image: \"oci:{image}\" }}]\n"
    ));
    let done = env.agent(["run-local"]).run();
    assert!(!victim.is_hurt(), "{done}");
    // The link leads into the container's own tree, where there is no such directory.
    let _ = done
        .expect(1)
        .says("the working directory /link/made cannot be entered");
}

/// CVE-2025-31133: `/dev/null` of the image is no null device, and covers nothing.
fn covers_do_not_come_from_the_image(env: &TestEnvironment) {
    let image = image_with(
        env,
        "null",
        &["mkdir dev; echo breached > dev/null; ln -s /proc/version dev/zero"],
    );
    let script = "cat /proc/interrupts /dev/null; test -c /dev/null -a -c /dev/zero || echo breached; echo looked";
    let done = Attack::by(script).in_image(image).run(env).expect(0);
    assert!(!breached(&done.says("looked").does_not_say("CPU0")));
}

/// CVE-2019-14271: a program that looks users up in a container loads the container's libraries for it.
fn users_are_looked_up_without_the_images_libraries(env: &TestEnvironment) {
    let source = r#"#include <fcntl.h>
__attribute__((constructor)) static void loaded(void) { open("/tmp/loaded", O_CREAT | O_WRONLY, 0666); }"#;
    env.write("library.c", source);
    let library = env.root().join("library.so");
    let mut compiler = Command::new("cc");
    let _ = must(
        compiler
            .args(["-shared", "-fPIC", "-nostdlib", "-o"])
            .arg(&library)
            .arg(env.root().join("library.c"))
            .arg("-lc"),
    );
    let script = format!(
        "mkdir -p lib/x86_64-linux-gnu lib64 usr/lib etc; echo 'app:x:1234:1234::/:/bin/sh' > etc/passwd; echo 'passwd: files compat db' > etc/nsswitch.conf; for name in libnss_files.so.2 libnss_compat.so.2 libc.so.6 libgcc_s.so.1; do for place in lib/x86_64-linux-gnu lib64 usr/lib; do cp {} $place/$name; done; done",
        library.display()
    );
    let image = image_with(env, "libraries", &[&script]);
    let attack = Attack::by("id -u; test -e /tmp/loaded && echo breached; true").in_image(image);
    let done = attack.by_user("app").run(env).expect(0);
    assert!(!breached(&done.says("1234")));
}

fn a_file_of_users_that_is_none_does_no_harm(env: &TestEnvironment) {
    for (name, script, ends) in [
        (
            "fifo",
            "mkfifo etc/passwd etc/group",
            "there is no user `app` in the image",
        ),
        (
            "endless",
            "ln -s /dev/zero etc/passwd",
            "there is no user `app` in the image",
        ),
        (
            "magic",
            "ln -s /proc/self/fd/0 etc/passwd",
            "the image's /etc/passwd is not usable as a file of users",
        ),
        (
            "directory",
            "mkdir etc/passwd",
            "the image's /etc/passwd is not usable as a file of users",
        ),
        (
            "line",
            "head -c 3000000 /dev/zero | tr '\\0' : > etc/passwd",
            "there is no user `app` in the image",
        ),
    ] {
        let image = image_with(env, name, &[&format!("mkdir etc; {script}")]);
        let attack = Attack::by("true").in_image(image).by_user("app");
        let _ = attack.run(env).expect(1).says(ends);
    }
}

/// CVE-2026-30892: `1` became root.
fn a_user_is_exactly_the_user_that_was_named(env: &TestEnvironment) {
    for (user, ids) in [
        ("1", "1:0"),
        ("1:1", "1:1"),
        ("0:1", "0:1"),
        ("65534", "65534:0"),
        ("007", "7:0"),
    ] {
        let done = Attack::by("echo $(id -u):$(id -g)")
            .by_user(user)
            .run(env)
            .expect(0);
        let _ = done.says(&format!("\n{ids}\n"));
    }
    for user in [
        "-1",
        "+0",
        "4294967295",
        "4294967296",
        "18446744073709551616",
        "1:",
        ":1",
        "1:2:3",
        "0x0",
        "0 ",
        "/0",
    ] {
        let done = Attack::by("echo breached as $(id -u)")
            .by_user(user)
            .run(env);
        assert!(done.code() != 0 && !breached(&done), "{user}: {done}");
    }
}
