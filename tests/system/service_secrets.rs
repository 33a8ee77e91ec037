//! Secrets that a server keeps, from a person's keyboard to a step's environment, and in no file on the way.

use std::path::Path;

use harness::{Finished, TestEnvironment, for_everyone, for_one_user};

use crate::agents::{drain, everything};
use crate::service::{Ci, repository};

for_everyone!(a_secret_of_the_server_reaches_the_step_that_names_it_and_no_file_has_it);

for_one_user!(secrets_are_set_listed_and_removed_and_what_is_not_had_is_named_with_its_step);

const VALUE: &str = "s3cr?t-Värde/0123456789+abc";

fn set(ci: &Ci<'_>, name: &str, value: &str, more: &[&str]) -> Finished {
    let arguments = ["secrets", "set", name];
    let arguments: Vec<&str> = arguments.iter().chain(more).copied().collect();
    ci.user(&arguments).stdin(format!("{value}\n")).run()
}

fn assert_nowhere(env: &TestEnvironment, value: &str) {
    for directory in [env.root().join("server"), env.root().join("data")] {
        let all = everything(&directory);
        assert!(
            !all.is_empty() && !all.contains(value),
            "{}",
            directory.display()
        );
    }
}

fn a_secret_of_the_server_reaches_the_step_that_names_it_and_no_file_has_it(env: &TestEnvironment) {
    repository(
        env,
        "image: host\nsteps:\n  - name: with\n    secrets: [TOKEN]\n    run: echo \"it is $TOKEN\"; echo \"${#TOKEN}\"; echo \"$TOKEN\" | base64\n  \
         - name: without\n    run: echo \"${TOKEN:-nothing}\"\n",
    );
    let ci = Ci::start(env);
    let project = env.project();
    let project = project.to_str().expect("a path of text");
    let _ = set(&ci, "TOKEN", VALUE, &["--repo", project]).expect(0);
    let agent = ci.agent("data", &[]);
    let done = ci.submit(&[]).expect(0);
    let output = done.output();
    let length = VALUE.len();
    let chars = VALUE.chars().count();
    assert!(
        output.contains(&format!("it is ***\n{length}\n***\n"))
            || output.contains(&format!("it is ***\n{chars}\n***\n")),
        "{output}"
    );
    assert!(output.contains("\nnothing\n"), "{output}");
    assert_nowhere(env, VALUE);
    assert_nowhere(env, "czNjcj90LVbDpHJkZS8wMTIzNDU2Nzg5K2Fi");
    let _ = drain(agent);
    // What is said at the end is in the log, too.
    assert_nowhere(env, VALUE);
    assert!(mode(&env.root().join("server/secret-key")) == 0o600);
    ci.stop();
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path).expect("a key");
    metadata.permissions().mode() & 0o777
}

fn secrets_are_set_listed_and_removed_and_what_is_not_had_is_named_with_its_step(
    env: &TestEnvironment,
) {
    repository(
        env,
        "image: host\nsteps: [{ name: deploy, run: echo has-run, secrets: [TOKEN] }]\n",
    );
    let ci = Ci::start(env);
    let _ = set(
        &ci,
        "TOKEN",
        VALUE,
        &["--event", "push,tag", "--branch", "trunk"],
    )
    .expect(0);
    env.write("key", "line one\nline two\n");
    let file = env.root().join("key").display().to_string();
    let _ = ci
        .user(&["secrets", "set", "KEY", "--file", &file])
        .run()
        .expect(0);
    let _ = set(&ci, "X", "abc", &[])
        .expect(2)
        .says("could not be masked");
    let _ = set(&ci, "A-B", VALUE, &[])
        .expect(2)
        .says("a secret's name has");
    let listed = ci.user(&["secrets"]).run().expect(0).output();
    let lines: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split_whitespace().take(3).collect())
        .collect();
    assert_eq!(
        lines,
        [
            ["SECRET", "EVENTS", "BRANCHES"],
            ["KEY", "all", "all"],
            ["TOKEN", "push,tag", "trunk"]
        ]
    );
    assert!(listed.contains("first administrator"), "{listed}");

    let agent = ci.agent("data", &[]);
    let refused = |more: &[&str], why: &str| {
        let done = ci.submit(more).expect(1);
        let output = done.output();
        let said = format!(
            ".pipeline.yml:2: step `deploy` of job `main` needs the secret TOKEN, which {why}"
        );
        assert!(output.contains(&said), "{why}: {output}");
        assert!(!output.contains("has-run"), "{output}");
    };
    refused(&[], "is not for what this pipeline runs for");
    refused(
        &["--event", "push", "--branch", "x"],
        "is not for this pipeline's branch",
    );
    let _ = ci.user(&["secrets", "remove", "TOKEN"]).run().expect(0);
    refused(&[], "is not set on the server");
    let fork = ["submit", "--event", "pull_request", "--fork"];
    let pipeline = ci.user(&fork).run().expect(0).output();
    let shown = ci.user(&["jobs", "--pipeline", pipeline.trim()]).run();
    assert!(shown.expect(0).output().contains("waits for approval"));
    let approve = ["approve", "--pipeline", pipeline.trim()];
    let _ = ci.user(&approve).run().expect(0);
    let _ = ci
        .user(&approve)
        .run()
        .expect(1)
        .says("asks for no approval");
    let gone = ci.user(&["secrets", "remove", "TOKEN"]).run();
    let _ = gone.expect(1).says("there is no secret TOKEN");
    let _ = drain(agent);
    ci.stop();
}
