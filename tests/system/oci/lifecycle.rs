//! `create`, `start`, `state`, `kill`, `delete` (runtime.md).

use std::fs;
use std::path::Path;

use harness::{TestEnvironment, for_everyone, for_one_user};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::Bundle;

for_everyone!(
    a_container_is_created_started_and_deleted,
    a_container_dies_with_its_supervisor,
);

for_one_user!(
    nothing_runs_before_it_is_started,
    an_id_is_had_once,
    an_operation_that_does_not_fit_changes_nothing,
    signals_reach_the_process,
    a_container_that_was_only_created_can_be_killed,
    the_process_id_is_the_containers,
    what_changes_in_the_configuration_after_create_is_of_no_account,
    unknown_properties_are_passed_over,
    a_bundle_without_a_process_has_nothing_to_start,
    a_command_that_is_missing_is_told_by_start,
    the_log_is_for_programs,
    containers_are_known_below_the_root_directory,
    the_state_is_as_the_schema_says,
);

/// runtime-tools: `create`, `state`, `start`, `delete`; contest: `lifecycle`.
fn a_container_is_created_started_and_deleted(env: &TestEnvironment) {
    let bundle = Bundle::new(env, "a", "echo ran as $(id -u) in $(hostname)");
    assert_eq!(bundle.status(), "");
    bundle.create();
    assert_eq!(bundle.status(), "created");
    assert!(Path::new(&format!("/proc/{}", bundle.pid())).exists());
    bundle.start();
    bundle.wait();
    assert_eq!(bundle.output(), "ran as 0 in mrsdalloway\n");
    assert!(bundle.delete());
    assert_eq!(bundle.status(), "");
    env.assert_nothing_left();
}

fn a_container_dies_with_its_supervisor(env: &TestEnvironment) {
    let bundle = Bundle::new(env, "a", "trap '' TERM; while :; do sleep 1; done");
    bundle.create();
    bundle.start();
    let kept = fs::read_dir("/proc").expect("list the processes");
    let program = env.root().join("agent");
    let is_supervisor = |path: &Path| {
        let command = fs::read(path.join("cmdline")).unwrap_or_default();
        let program = program.as_os_str().as_encoded_bytes();
        command.starts_with(program) && fs::read_link(path.join("cwd")).ok() == Some("/".into())
    };
    let supervisor = kept
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| is_supervisor(path) && !is_keeper(path))
        .expect("there is a supervisor");
    let id = supervisor
        .file_name()
        .and_then(|name| name.to_str()?.parse().ok());
    let id = id.and_then(Pid::from_raw).expect("a process id");
    kill_process(id, Signal::KILL).expect("kill the supervisor");
    env.assert_nothing_survives_a_second();
    assert_eq!(bundle.status(), "stopped");
    assert!(!bundle.kill("TERM"));
    assert!(bundle.delete(), "{}", bundle.errors());
    // What it has left on disk, the next one removes.
    assert!(Bundle::new(env, "next", "true").run().is_empty());
}

fn is_keeper(process: &Path) -> bool {
    fs::read_to_string(process.join("comm")).is_ok_and(|name| name == "slipway-keeper\n")
}

/// runtime-tools: `start`, "process.args MUST NOT be applied until triggered by the start operation".
fn nothing_runs_before_it_is_started(env: &TestEnvironment) {
    let bundle = Bundle::new(env, "a", "echo process called >> /output");
    bundle.create();
    assert!(!bundle.root().join("output").exists());
    bundle.start();
    bundle.wait();
    assert_eq!(bundle.read("output"), "process called\n");
    // "attempting to `start` a container that is not `created` MUST have no effect on the container and MUST generate an error"
    assert!(!bundle.try_start());
    assert_eq!(bundle.read("output"), "process called\n");
}

/// runtime-tools: `create`.
fn an_id_is_had_once(env: &TestEnvironment) {
    let bundle = Bundle::new(env, "a", "true");
    bundle.create();
    assert!(!bundle.try_create(&[]));
    assert!(bundle.errors().contains("there is a container a already"));
    assert_eq!(bundle.status(), "created");
    for id in ["../a", "..", "", "a/b", "-x", "a b"] {
        let done = env.agent(["oci", "state", "--", id]).run().expect(1);
        assert!(done.errors().contains("is not a container's id"), "{done}");
    }
}

/// runtime-tools: `delete`, `kill`, `kill_no_effect`, `start`.
fn an_operation_that_does_not_fit_changes_nothing(env: &TestEnvironment) {
    let bundle = Bundle::new(env, "a", "sleep 1000");
    for words in [
        &["start", "a"][..],
        &["state", "a"],
        &["kill", "a"],
        &["delete", "a"],
    ] {
        let words = ["oci"].iter().chain(words);
        let _ = env
            .agent(words)
            .run()
            .expect(1)
            .says("there is no container a");
    }
    let _ = env.agent(["oci", "delete", "--force", "a"]).run().expect(0);
    bundle.create();
    assert!(!bundle.delete());
    assert_eq!(bundle.status(), "created");
    bundle.start();
    assert!(!bundle.delete() && !bundle.try_start());
    assert_eq!(bundle.status(), "running");
    assert!(bundle.kill("KILL"));
    bundle.wait();
    let stopped = bundle.state();
    assert!(!bundle.kill("KILL"));
    assert_eq!(bundle.state(), stopped);
    insta::assert_snapshot!(bundle.errors(), @r"
    error: the container a is created: it cannot be deleted
    error: the container a is running: it cannot be deleted
    error: the container a is running: it cannot be started
    error: the container a is stopped: it cannot be sent a signal
    ");
}

/// runtime-tools: `killsig`. Busybox's shell hears of a signal between two commands and in `wait`; the test's may come before that.
fn signals_reach_the_process(env: &TestEnvironment) {
    for signal in ["TERM", "USR1", "USR2"] {
        let script =
            format!("trap 'touch /{signal}; exit' {signal}; touch /ready; sleep 1000 & wait $!");
        let bundle = Bundle::new(env, signal, &script);
        bundle.create();
        bundle.start();
        let ready = harness::wait::until(harness::wait::PATIENCE, || {
            bundle.root().join("ready").exists().then_some(())
        });
        assert!(ready.is_some(), "{}", bundle.errors());
        assert!(bundle.kill(signal));
        bundle.wait();
        assert!(bundle.root().join(signal).exists());
    }
}

/// runtime-tools: `kill`, "kill a created".
fn a_container_that_was_only_created_can_be_killed(env: &TestEnvironment) {
    for signal in ["TERM", "KILL"] {
        let bundle = Bundle::new(env, signal, "echo ran");
        bundle.create();
        // What does not end a program does not end it.
        assert!(bundle.kill("WINCH"));
        assert_eq!(bundle.status(), "created");
        assert!(bundle.kill(signal));
        bundle.wait();
        assert!(!bundle.try_start());
        assert_eq!(bundle.output(), "");
        assert!(bundle.delete());
    }
}

/// runtime-tools: `pidfile`.
fn the_process_id_is_the_containers(env: &TestEnvironment) {
    let bundle = Bundle::new(env, "a", "sleep 1000");
    let file = env.root().join("pid");
    assert!(bundle.try_create(&["--pid-file", &file.to_string_lossy()]));
    let pid = bundle.pid();
    assert_eq!(fs::read_to_string(&file).ok(), Some(pid.to_string()));
    bundle.start();
    assert_eq!(bundle.pid(), pid);
    // It is the first process of the container's own namespace, with the container's root.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("read its status");
    let ids = status.lines().find(|line| line.starts_with("NSpid:"));
    assert!(ids.is_some_and(|ids| ids.ends_with("\t1")), "{status}");
}

/// runtime-tools: `config_updates_without_affect`.
fn what_changes_in_the_configuration_after_create_is_of_no_account(env: &TestEnvironment) {
    let bundle = Bundle::new(env, "a", "echo as it was");
    bundle.create();
    env.write("a/config.json", r#"{"ociVersion": "1.0.0"}"#);
    bundle.start();
    bundle.wait();
    assert_eq!(bundle.output(), "as it was\n");
}

/// runtime-tools: `misc_props`.
fn unknown_properties_are_passed_over(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "echo ran");
    bundle.config["unknown"] = json!("unknown");
    bundle.config["annotations"] = json!({"org.example.key": ""});
    assert_eq!(bundle.run(), "ran\n");
    bundle.config["ociVersion"] = json!("invalid");
    assert!(bundle.refusal().contains("ociVersion"));
}

/// runtime-tools: `start`, "`start` operation MUST generate an error if `process` was not set".
fn a_bundle_without_a_process_has_nothing_to_start(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "true");
    bundle.config["process"] = Value::Null;
    bundle.create();
    assert!(!bundle.try_start());
    assert!(
        bundle
            .errors()
            .contains("config.json: process: there is none")
    );
    bundle.wait();
    assert!(bundle.delete());
}

fn a_command_that_is_missing_is_told_by_start(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "true");
    bundle.config["process"]["args"] = json!(["no-such-program"]);
    bundle.create();
    assert!(!bundle.try_start());
    insta::assert_snapshot!(bundle.errors(), @"error: failed to start the container: there is no `no-such-program` in the image");
    bundle.wait();
}

fn the_log_is_for_programs(env: &TestEnvironment) {
    let bundle = Bundle::new(env, "a", "true");
    let log = env.root().join("log");
    let log = log.to_string_lossy();
    let words = ["--log", &log, "--log-format", "json", "start", "nobody"];
    assert_eq!(bundle.agent(&words).code(), 1);
    let line: Value = serde_json::from_str(env.read("log").trim()).expect("a line is JSON");
    assert_eq!(line["level"], "error");
    assert_eq!(line["msg"], "there is no container nobody");
}

fn containers_are_known_below_the_root_directory(env: &TestEnvironment) {
    let bundle = Bundle::new(env, "a", "true");
    bundle.create();
    let other = env.home().join("other");
    let other = other.to_string_lossy();
    let _ = env
        .agent(["oci", "--root", &other, "state", "a"])
        .run()
        .expect(1);
    let path = bundle.path();
    let path = path.to_string_lossy();
    // Whoever calls it from elsewhere, or later, finds it at the same place.
    let enter = format!(
        "cd '{}' && exec \"$@\" >/dev/null 2>&1 </dev/null",
        env.home().display()
    );
    let words = ["oci", "--root", "other", "create", "-b", &path, "a"];
    let made = env.agent(words).executed_by(["sh", "-c", &enter, "sh"]);
    let _ = made.run().expect(0);
    let words = ["oci", "--root", &other, "start", "a"];
    let _ = env.agent(words).run().expect(0);
    let words = ["oci", "--root", &other, "delete", "-f", "a"];
    let _ = env.agent(words).run().expect(0);
    assert_eq!(bundle.status(), "created");
}

/// `schema/state-schema.json` of opencontainers/runtime-spec (v1.2.1): its required properties and their types, and no property
/// that it does not know.
fn the_state_is_as_the_schema_says(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "true");
    bundle.config["annotations"] = json!({"org.example.key": "value"});
    bundle.create();
    let state = bundle.state().expect("there is a container");
    assert!(state["ociVersion"].is_string() && state["bundle"].is_string());
    assert_eq!(state["id"], "a");
    assert!(
        ["creating", "created", "running", "stopped"]
            .contains(&state["status"].as_str().unwrap_or_default())
    );
    assert!(state["pid"].as_i64().is_some_and(|pid| pid > 0));
    assert_eq!(state["annotations"], json!({"org.example.key": "value"}));
    let known = ["ociVersion", "id", "status", "pid", "bundle", "annotations"];
    let keys = state.as_object().expect("an object").keys();
    assert!(
        keys.into_iter().all(|key| known.contains(&key.as_str())),
        "{state}"
    );
    assert_eq!(state["bundle"], bundle.path().to_string_lossy().as_ref());
}
