//! What several subjects need.

use std::process::Command;

use harness::{Finished, TestEnvironment};

/// Runs one script as the only step, named `step`, in an image; more options may follow `run-local`.
pub(crate) fn run_script(
    environment: &TestEnvironment,
    image: &str,
    script: &str,
    options: &[&str],
) -> Finished {
    environment.pipeline(&single_step(image, script));
    run_local(environment, options)
}

/// `agent run-local` with options, in the project.
pub(crate) fn run_local(environment: &TestEnvironment, options: &[&str]) -> Finished {
    environment.agent(["run-local"].iter().chain(options)).run()
}

/// What the script prints in an image, where it succeeds.
#[track_caller]
pub(crate) fn output_of(environment: &TestEnvironment, image: &str, script: &str) -> String {
    run_script(environment, image, script, &["--json"])
        .expect(0)
        .log("step")
}

/// A pipeline of one step, named `step`, that runs a script.
pub(crate) fn single_step(image: &str, script: &str) -> String {
    let script = serde_json::to_string(script).unwrap_or_default();
    format!("image: \"{image}\"\nsteps:\n  - name: step\n    run: {script}\n")
}

/// Runs a program of the machine that a test is set up with.
#[track_caller]
pub(crate) fn must(command: &mut Command) {
    let done = command
        .output()
        .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    assert!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}
