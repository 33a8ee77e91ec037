//! The project's own `.pipeline.yml`, on the machine's own image. The jobs that build everything are left out here, since
//! `tests/run` has just done the same outside: `format` and `language` are run as they stand in the file.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Skip, TestEnvironment, for_root, skip};

use crate::support::must;

for_root!(the_project_formats_and_tests_itself);

fn the_project_formats_and_tests_itself(env: &TestEnvironment) {
    let Some((cargo_home, rustup_home)) = toolchain() else {
        return skip(&Skip(
            "there is no toolchain of rustup's: RUSTUP_HOME, CARGO_HOME and HOME lead nowhere"
                .to_owned(),
        ));
    };
    let repository = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // What git knows, with uncommitted changes, and nothing that was built.
    let list = env.root().join("files");
    must(
        Command::new("sh")
            .arg("-c")
            .arg("git -C \"$0\" ls-files -z -co --exclude-standard >\"$1\"")
            .arg(repository)
            .arg(&list),
    );
    must(
        Command::new("sh")
            .arg("-c")
            .arg("tar -C \"$0\" --null --ignore-failed-read -T \"$1\" -cf - | tar -C \"$2\" -xf -")
            .arg(repository)
            .arg(&list)
            .arg(env.project()),
    );
    // Cargo's home is read-only in the container; what it writes goes beside the target directory, offline.
    env.write(
        "config.yml",
        format!(
            "host:\n  paths: [{cargo}, {rustup}]\n  env:\n    PATH: {cargo}/bin:/usr/local/bin:/usr/bin:/bin\n    \
             CARGO_HOME: {cargo}\n    RUSTUP_HOME: {rustup}\n    CARGO_NET_OFFLINE: \"true\"\n",
            cargo = cargo_home.display(),
            rustup = rustup_home.display()
        ),
    );
    let done = env
        .agent(["run-local", "--job", "format", "--job", "language"])
        .run()
        .expect(0);
    let _ = done.says("test result: ok").says("run: ok");
}

fn toolchain() -> Option<(PathBuf, PathBuf)> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let place = |variable: &str, below: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| Some(home.as_ref()?.join(below)))
            .filter(|path| path.is_dir())
    };
    Some((
        place("CARGO_HOME", ".cargo")?,
        place("RUSTUP_HOME", ".rustup")?,
    ))
}
