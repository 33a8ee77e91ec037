//! Tests that mount: each in a process and namespaces of its own, made by unshare(1).

use std::path::Path;
use std::process::Command;

/// Set in the process that is in the namespaces already.
const INSIDE: &str = "SLIPWAY_UNIT_TEST_INSIDE";

/// Runs `body`, the body of the test `name` of the module `module` (`module_path!()`), as root of a user and a mount
/// namespace, as a process's only test and with a fresh tmpfs as the working directory. Says loudly that it does not
/// where the machine gives nobody such namespaces: in a container, for one.
#[expect(
    clippy::print_stderr,
    reason = "a skipped test must not look like one that passed"
)]
pub(crate) fn in_namespaces(module: &str, name: &str, body: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let may = unshare().arg("true").output().unwrap();
    if !may.status.success() {
        let why = String::from_utf8_lossy(&may.stderr).into_owned();
        assert!(
            std::env::var_os("SLIPWAY_TEST_SKIP_NOTHING").is_none(),
            "nothing may be skipped here, but: {why}"
        );
        eprintln!("skipped: {why}");
        return;
    }
    let (_crate, module) = module.split_once("::").unwrap();
    let test = format!("{module}::{name}");
    let directory = tempfile::tempdir().unwrap();
    let done = unshare()
        .args(["sh", "-ec"])
        .arg("mount -t tmpfs tmpfs . && cd \"$PWD\" && exec \"$@\"")
        .arg("sh")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "yes")
        .current_dir(directory.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&done.stdout);
    let ran = output.contains("test result: ok. 1 passed");
    assert!(
        done.status.success() && ran,
        "{test}:\n{output}{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]);
    command
}

/// Makes a directory with a file in it.
pub(crate) fn directory_with(path: impl AsRef<Path>, file: &str, content: &str) {
    let path = path.as_ref();
    std::fs::create_dir_all(path).unwrap();
    std::fs::write(path.join(file), content).unwrap();
}
