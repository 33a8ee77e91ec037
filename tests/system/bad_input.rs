//! Bad input from a user, an image or the machine: a clear reason and the right code, never a panic.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use harness::{Finished, TestEnvironment, for_everyone, for_one_user, images};

use crate::support::{clean, must, run_local, run_script, single_step};

for_everyone!(
    a_script_of_a_mebibyte_runs_or_is_refused_by_its_line,
    a_data_directory_on_an_overlay_is_named,
);

for_one_user!(
    no_pipeline_is_wrong_usage_and_says_where_it_looked,
    a_pipeline_that_says_nothing_is_invalid,
    a_yaml_bomb_is_refused_at_once,
    an_image_that_is_not_there_fails_the_pipeline,
    a_damaged_archive_fails_with_its_name,
    a_read_only_data_directory_is_named,
    a_data_directory_that_is_a_file_is_named,
    a_shell_that_is_not_in_the_image_is_named,
    a_working_directory_that_is_not_there_is_named,
    variables_may_hold_newlines_and_quotes,
    a_variable_or_an_argument_that_is_too_long_is_named,
    an_environment_that_is_too_long_is_told_with_its_limit,
    a_configuration_that_is_wrong_is_named,
);

fn no_pipeline_is_wrong_usage_and_says_where_it_looked(env: &TestEnvironment) {
    let _ = clean(run_local(env, &[]))
        .expect(2)
        .says(".pipeline.yml")
        .says(&env.project().display().to_string())
        .says("image: host");
}

fn a_pipeline_that_says_nothing_is_invalid(env: &TestEnvironment) {
    let junk: Vec<u8> = (0..=255_u8).cycle().take(5000).collect();
    for (name, content) in [
        ("empty", &b""[..]),
        ("only a comment", b"# nothing\n"),
        ("null", b"null\n"),
        ("a list", b"- a\n- b\n"),
        ("no steps", b"image: host\nsteps: []\n"),
        ("binary", &junk),
        ("an ELF file", b"\x7fELF\x02\x01\x01\0\0\0\0\0"),
        ("UTF-16", b"\xff\xfei\0m\0a\0g\0e\0"),
        ("unclosed", b"image: \"host\nsteps:\n"),
    ] {
        env.write("project/.pipeline.yml", content);
        let done = clean(run_local(env, &[]));
        assert_eq!(done.code(), 65, "{name}: {done}");
        assert!(
            done.errors().contains("error[") && done.errors().contains(".pipeline.yml:"),
            "{name}: {done}"
        );
    }
}

fn a_yaml_bomb_is_refused_at_once(env: &TestEnvironment) {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let below = format!("*a{}", level - 1);
        bomb.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            vec![below; 10].join(", ")
        ));
    }
    for text in [
        bomb,
        format!("image: {}", "[".repeat(100_000)),
        format!("env: {}", "{a: ".repeat(50_000)),
    ] {
        env.pipeline(&text);
        let _ = clean(run_local(env, &[])).expect(65);
    }
    env.pipeline(&format!(
        "image: host\nsteps: [{{ run: true }}]\n#{}",
        "x".repeat(1 << 20)
    ));
    let _ = clean(run_local(env, &[])).expect(65).says("1 MiB");
}

fn an_image_that_is_not_there_fails_the_pipeline(env: &TestEnvironment) {
    for reference in [
        "oci:/nowhere",
        "oci-archive:/nowhere.tar",
        "docker-archive:/nowhere.tar",
        "dir:/nowhere",
        "tar:/nowhere.tar",
    ] {
        let done = clean(run_script(env, reference, "echo ran", &[])).expect(1);
        let _ = done
            .says("nowhere")
            .says("main / step: failed")
            .does_not_say("\nran\n");
    }
    let layout = images::path("skopeo");
    let _ = run_script(
        env,
        &format!("oci:{}:no-such-tag", layout.display()),
        "true",
        &[],
    )
    .expect(1)
    .says("no-such-tag");
    for reference in ["a/UPPER", "a/b:c:d", "x@sha256:123", "docker://"] {
        let done = clean(run_script(env, reference, "true", &[]));
        assert!([1, 2, 65].contains(&done.code()), "{reference}: {done}");
    }
}

fn a_damaged_archive_fails_with_its_name(env: &TestEnvironment) {
    for (transport, file) in [
        ("tar", "busybox.tar.gz"),
        ("tar", "busybox.tar.xz"),
        ("tar", "busybox.tar.zst"),
        ("docker-archive", "podman.docker.tar"),
        ("oci-archive", "skopeo.oci.tar"),
    ] {
        let bytes = fs::read(images::path(file)).expect("read an archive");
        env.write("project/damaged", &bytes[..bytes.len() / 2]);
        let done = clean(run_script(
            env,
            &format!("{transport}:damaged"),
            "echo ran",
            &[],
        ));
        assert!(done.code() == 1, "{file}: {done}");
        let _ = done.says("damaged").does_not_say("\nran\n");
    }
    env.write("project/damaged", "not an archive at all");
    let _ = clean(run_script(env, "tar:damaged", "echo ran", &[]))
        .says("damaged")
        .does_not_say("\nran\n");
}

fn a_read_only_data_directory_is_named(env: &TestEnvironment) {
    env.write("data/file", "");
    fs::set_permissions(env.data(), fs::Permissions::from_mode(0o555))
        .expect("close the data directory");
    let _ = clean(run_script(env, "host", "echo ran", &[]))
        .expect(70)
        .says(&env.data().display().to_string())
        .says("Permission denied")
        .does_not_say("\nran\n");
}

fn a_data_directory_that_is_a_file_is_named(env: &TestEnvironment) {
    env.write("data", "a file");
    let _ = clean(run_script(env, "host", "echo ran", &[]))
        .expect(70)
        .says(&env.data().display().to_string());
}

fn a_data_directory_on_an_overlay_is_named(env: &TestEnvironment) {
    if !env.is_set_up_by_root() {
        return;
    }
    // The overlay's own upper layer has to be on another file system than an overlay, wherever the test's directory is.
    let data = env.data();
    let mount = format!(
        "mkdir -p {0} && mount -t tmpfs tmpfs {0} && cd {0} && mkdir lower upper work && \
         chown {1} upper && mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay {0}; cd {2}",
        data.display(),
        env.caller(),
        env.project().display()
    );
    env.pipeline(&single_step("host", "echo ran; touch made"));
    let run = |arguments: &[&str]| clean(env.agent(arguments).after(&mount).run());
    let _ = run(&["run-local"])
        .expect(70)
        .says("the data directory is on an overlay file system")
        .says("SLIPWAY_DATA")
        .does_not_say("\nran\n");
    let _ = run(&["doctor"]).expect(77).says(&format!(
        "data directory   missing  {} is on an overlay",
        data.display()
    ));
    let _ = run(&["run-local", "--in-place"]).expect(0).says("\nran\n");
}

fn a_shell_that_is_not_in_the_image_is_named(env: &TestEnvironment) {
    env.pipeline(&format!(
        "image: \"{}\"\nsteps:\n  - {{ name: step, shell: zsh, run: echo ran }}\n",
        images::busybox()
    ));
    let _ = clean(run_local(env, &[]))
        .expect(1)
        .says("there is no `zsh` in the image")
        .does_not_say("\nran\n");
    // An image for one static program has no shell at all.
    env.write("empty/file", "");
    let _ = must(
        Command::new("tar")
            .arg("-C")
            .arg(env.root().join("empty"))
            .arg("-cf")
            .arg(env.root().join("empty.tar"))
            .arg("."),
    );
    let image = format!("tar:{}/empty.tar", env.root().display());
    let _ = clean(run_script(env, &image, "echo ran", &[]))
        .expect(1)
        .says("there is no `sh` in the image")
        .does_not_say("\nran\n");
}

fn a_working_directory_that_is_not_there_is_named(env: &TestEnvironment) {
    env.pipeline(
        "image: host\nsteps:\n  - { name: step, workdir: no/such/place, run: echo ran }\n",
    );
    let _ = clean(run_local(env, &[]))
        .expect(1)
        .says("no/such/place")
        .does_not_say("\nran\n");
}

fn variables_may_hold_newlines_and_quotes(env: &TestEnvironment) {
    env.pipeline("image: host\nenv: { V: \"one\\ntwo \\\"three\\\" $four `five`\\n\" }\nsteps:\n  - { name: step, run: 'printf %s \"$V\"' }\n");
    let log = run_local(env, &["--json"]).expect(0).log("step");
    assert_eq!(log, "one\ntwo \"three\" $four `five`\n");
}

/// One may have 32 pages (execve(2)).
fn a_variable_or_an_argument_that_is_too_long_is_named(env: &TestEnvironment) {
    let long = "x".repeat(3 << 18);
    env.pipeline(&format!(
        "image: host\nsteps:\n  - {{ name: step, env: {{ LONG_ONE: {long} }}, run: echo ran }}\n"
    ));
    let told = |done: Finished| clean(done).expect(1).does_not_say("\nran\n");
    let _ = told(run_local(env, &[]))
        .says("the variable `LONG_ONE` has 786442 bytes, and the kernel takes 131072")
        .does_not_say("Argument list too long");
    env.pipeline(&format!(
        "image: host\nsteps:\n  - {{ name: step, shell: [sh, -c, {long}], run: echo ran }}\n"
    ));
    let _ = told(run_local(env, &[])).says("argument 2 of the command has 786433 bytes");
}

fn an_environment_that_is_too_long_is_told_with_its_limit(env: &TestEnvironment) {
    if !env.is_set_up_by_root() {
        return;
    }
    let line = format!("    V{{}}: {}\n", "x".repeat(100_000));
    let many: String = (0..10)
        .map(|number| line.replace("{}", &number.to_string()))
        .collect();
    env.pipeline(&format!(
        "image: host\nenv:\n{many}steps:\n  - {{ name: step, run: echo ran }}\n"
    ));
    let limited = env.agent(["run-local"]).after("ulimit -s 256");
    let _ = limited
        .run()
        .expect(1)
        .says("the environment together with the arguments has 10");
}

fn a_configuration_that_is_wrong_is_named(env: &TestEnvironment) {
    env.write("config.yml", "graze: 10s\n");
    let _ = clean(run_script(env, "host", "true", &[]))
        .expect(2)
        .says("graze")
        .says("config.yml");
}

/// The file may be 1 MiB in all, so the script is a little smaller; the kernel's limit for one argument is 128 KiB.
fn a_script_of_a_mebibyte_runs_or_is_refused_by_its_line(env: &TestEnvironment) {
    let line = ": a line that does nothing but take its place in a very long script\n";
    let mut script = line.repeat(1_000_000 / line.len());
    script.push_str("echo the end\n");
    let indented: String = script
        .lines()
        .map(|line| format!("      {line}\n"))
        .collect();
    let text = format!("image: host\nsteps:\n  - name: step\n    run: |\n{indented}");
    env.pipeline(&text);
    assert!(text.len() > 1 << 20);
    let _ = clean(run_local(env, &[])).expect(65).says("1 MiB");

    let script = script[script.len() - 900_000 / line.len() * line.len()..].to_owned();
    env.pipeline(&single_step(
        "host",
        script.split_once('\n').map_or("", |(_, rest)| rest),
    ));
    assert_eq!(
        run_local(env, &["--json"]).expect(0).log("step"),
        "the end\n"
    );
}
