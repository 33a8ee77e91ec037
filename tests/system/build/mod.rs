//! `agent build`: images from Dockerfiles, as a Docker user's fingers expect it.

mod before;
mod context;
mod mistakes;
mod podman;
mod stages;

use harness::{Finished, TestEnvironment, images};
use serde_json::Value;

use crate::door_containers::agent;

pub(crate) const BASE: &str = "localhost/busybox";

/// The plain image under a name that a Dockerfile can say.
pub(crate) fn base(env: &TestEnvironment) {
    let plain = images::plain();
    let _ = agent(env, &["pull", "-q", &plain]).expect(0);
    let _ = agent(env, &["image", "tag", &plain, BASE]).expect(0);
}

/// A file of the project, which is the context.
pub(crate) fn write(env: &TestEnvironment, name: &str, content: &str) {
    env.write(env.project().join(name), content);
}

/// Builds the project's Dockerfile as `localhost/built`.
pub(crate) fn build(env: &TestEnvironment, dockerfile: &str, options: &[&str]) -> Finished {
    write(env, "Dockerfile", dockerfile);
    agent(
        env,
        &[&["build", "-t", "localhost/built"], options, &["."]].concat(),
    )
}

/// What a command prints in what was built.
#[track_caller]
pub(crate) fn inside(env: &TestEnvironment, script: &str) -> String {
    let words = [
        "run",
        "--rm",
        "--entrypoint",
        "/bin/sh",
        "localhost/built",
        "-c",
        script,
    ];
    agent(env, &words).expect(0).output()
}

pub(crate) fn config(env: &TestEnvironment) -> Value {
    let text = agent(env, &["image", "inspect", "localhost/built"]).expect(0);
    let list: Value = serde_json::from_str(&text.output()).expect("JSON");
    list[0].clone()
}

/// What each step was: its text, and whether it was made before.
pub(crate) fn steps(done: &Finished) -> Vec<(String, bool)> {
    let mut steps: Vec<(String, bool)> = Vec::new();
    for line in done.errors().lines() {
        if let Some((_, text)) = line.split_once("] ")
            && line.starts_with('[')
        {
            steps.push((text.to_owned(), false));
        } else if line == "  made before"
            && let Some(last) = steps.last_mut()
        {
            last.1 = true;
        }
    }
    steps
}

/// Which steps were made before.
pub(crate) fn before(done: &Finished) -> Vec<bool> {
    steps(done).iter().map(|step| step.1).collect()
}
