//! Where the Dockerfile and the files it copies come from, and that they come from nowhere else.

use std::fs;
use std::os::unix::fs::symlink;

use harness::{TestEnvironment, for_everyone, for_one_user};

use super::{BASE, base, build, inside, write};
use crate::door_containers::agent;

for_everyone!(links_of_the_context_and_of_the_image_lead_nowhere_else);

for_one_user!(
    a_dockerfile_may_come_by_standard_input,
    a_large_context_is_bounded_by_what_is_ignored
);

fn links_of_the_context_and_of_the_image_lead_nowhere_else(env: &TestEnvironment) {
    base(env);
    let outside = env.root().join("outside");
    fs::create_dir(&outside).expect("make a directory");
    env.own(&outside);
    env.write(outside.join("secret"), "private\n");
    let project = env.project();
    symlink(outside.join("secret"), project.join("absolute")).expect("link");
    symlink("../outside/secret", project.join("relative")).expect("link");
    symlink("../outside", project.join("directory")).expect("link");
    write(env, "file", "mine\n");
    for source in [
        "absolute",
        "relative",
        "directory/secret",
        "../outside/secret",
    ] {
        let dockerfile = format!("FROM {BASE}\nCOPY {source} /stolen\n");
        let done = build(env, &dockerfile, &[]).expect(1);
        let _ = done.says(&format!("there is no `{source}` in the context"));
    }
    // Inside of a directory they are links and nothing else. A container has none of this machine's `/var/tmp`.
    let place = tempfile::tempdir_in("/var/tmp").expect("make a directory");
    env.own(place.path());
    let beyond = place.path().display();
    let dockerfile = format!(
        "FROM {BASE}
COPY . /all
RUN ln -s {out} /link && ln -s {out}/new /dangling && ln -s ../../../../../../../../..{out} /up \\
 && ln -s /proc/1/root/{out} /magic
COPY file /link/copied
COPY file /dangling
COPY . /up/
COPY --from={BASE} /bin/busybox /link/
WORKDIR /link/made
RUN rm -rf /link/removed && cat {out}/copied {out}/new && test ! -e {out}/secret
",
        out = beyond
    );
    let _ = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(fs::read_dir(place.path()).expect("list").count(), 0);
    assert_eq!(fs::read_dir(&outside).expect("list").count(), 1);
    let script = format!("readlink /all/absolute; ls {beyond}");
    let said = inside(env, &script);
    assert!(
        said.starts_with(&format!("{}/secret\n", outside.display())),
        "{said}"
    );
    assert!(
        said.contains("copied\n") && said.contains("busybox\n"),
        "{said}"
    );
    // A link of another stage leads into that one.
    let dockerfile = format!(
        "FROM {BASE} AS other\nRUN ln -s {}/secret /secret\nFROM {BASE}\nCOPY --from=other /secret /x\n",
        outside.display()
    );
    let _ = build(env, &dockerfile, &[])
        .expect(1)
        .says("there is no `/secret` in what `--from` names");
}

fn a_dockerfile_may_come_by_standard_input(env: &TestEnvironment) {
    base(env);
    let done = env
        .agent(["build", "-q", "-"])
        .stdin(format!("FROM {BASE}\nRUN echo hi > /hi\n"))
        .run()
        .expect(0);
    assert_eq!(done.errors(), "");
    let name = done.output();
    assert!(name.starts_with("localhost/build:"), "{name}");
    let said = agent(env, &["run", "--rm", name.trim(), "cat", "/hi"]).expect(0);
    assert_eq!(said.output(), "hi\n");
    write(env, "file", "x\n");
    let done = env
        .agent(["build", "-f", "-", "."])
        .stdin(format!("FROM {BASE}\nCOPY file /\nCOPY - /\n"))
        .run()
        .expect(1);
    let _ = done.says("--> standard input:3:6");
}

fn a_large_context_is_bounded_by_what_is_ignored(env: &TestEnvironment) {
    base(env);
    // Sparse: more than any image may have, and nothing on the disk.
    let large = env.project().join("large");
    fs::File::create(&large)
        .and_then(|file| file.set_len(40 << 30))
        .expect("make a file");
    env.own(&large);
    let dockerfile = format!("FROM {BASE}\nCOPY . /all\n");
    let done = build(env, &dockerfile, &[]).expect(1);
    let _ = done.says("it is more than 1048576 files, or 34359738368 bytes");
    write(
        env,
        ".dockerignore",
        "large\nslipway-test-*\n.dockerignore\n",
    );
    let _ = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(inside(env, "ls /all"), "Dockerfile\n");
}
