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
    env.write("config.yml", configuration());
    let done = env
        .agent(["run-local", "--job", "format", "--job", "language"])
        .run()
        .expect(0);
    let _ = done.says("test result: ok").says("run: ok");
}

/// Shows rustup's toolchain and cargo's downloads to steps, read-only; where there is none, Rust is below `/usr`.
fn configuration() -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let place = |variable: &str, below: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| Some(home.as_ref()?.join(below)))
            .filter(|path| path.is_dir())
    };
    let mut paths = Vec::new();
    let mut variables = "    CARGO_NET_OFFLINE: \"true\"\n".to_owned();
    let mut search = "/usr/local/bin:/usr/bin:/bin".to_owned();
    for (variable, below) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        if let Some(path) = place(variable, below) {
            let path = path.display().to_string();
            variables.push_str(&format!("    {variable}: {path}\n"));
            if variable == "CARGO_HOME" {
                search = format!("{path}/bin:{search}");
            }
            paths.push(path);
        }
    }
    format!(
        "host:\n  paths: [{}]\n  env:\n    PATH: {search}\n{variables}",
        paths.join(", ")
    )
}
