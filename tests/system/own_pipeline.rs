//! The project's own `.pipeline.yml`, on the machine's own image. The jobs that build everything are left out here, since
//! `tests/run` has just done the same outside: `format` and `language` are run as they stand in the file.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{TestEnvironment, for_root};

use crate::support::must;

for_root!(the_project_formats_and_tests_itself);

fn the_project_formats_and_tests_itself(env: &TestEnvironment) {
    let repository = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // What git knows, with uncommitted changes, and nothing that was built.
    let list = env.root().join("files");
    let _ = must(
        Command::new("sh")
            .arg("-c")
            .arg("git -C \"$0\" ls-files -z -co --exclude-standard >\"$1\"")
            .arg(repository)
            .arg(&list),
    );
    let _ = must(
        Command::new("sh")
            .arg("-c")
            .arg("tar -C \"$0\" --null --ignore-failed-read -T \"$1\" -cf - | tar -C \"$2\" -xf -")
            .arg(repository)
            .arg(&list)
            .arg(env.project()),
    );
    env.write("config.yml", configuration());
    let done = env
        .agent(["run-local", "--job", "format", "--job", "language"])
        .run()
        .expect(0);
    let _ = done.says("test result: ok").says("run: ok");
}

/// Shows the toolchain that runs this test, and cargo's downloads, to steps, read-only. Cargo tells tests which one it
/// is (`CARGO`), wherever it was installed; one below `/usr` is there anyway. Cargo looks for `cargo-fmt` in its home first,
/// where rustup may have left a stand-in that knows no toolchain, unless that directory has a later place in the path.
fn configuration() -> String {
    let cargo = std::env::var_os("CARGO").expect("cargo runs this test");
    let toolchain = Path::new(&cargo).ancestors().nth(2);
    let toolchain = toolchain.expect("cargo is in the bin directory of its toolchain");
    let downloads = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
        .expect("cargo has a home");
    let (toolchain, downloads) = (toolchain.display(), downloads.display());
    format!(
        "host:
  paths: [{toolchain}, {downloads}]
  env:
    PATH: {toolchain}/bin:/usr/local/bin:/usr/bin:/bin:{downloads}/bin
    CARGO_HOME: {downloads}
    CARGO_NET_OFFLINE: \"true\"
"
    )
}
