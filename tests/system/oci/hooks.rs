//! Hooks (config.md, "POSIX-platform Hooks").

use harness::{TestEnvironment, for_everyone, for_one_user};
use serde_json::{Value, json};

use super::Bundle;
use crate::support::must;

for_everyone!(
    hooks_are_called_in_their_order,
    hooks_in_the_container_have_the_rights_of_its_command,
    nobody_waits_for_a_hook_to_end_a_container,
);

for_one_user!(
    hooks_read_the_state,
    a_hook_that_fails_before_the_start_ends_the_container,
    a_hook_that_fails_later_is_a_warning,
    a_hook_that_takes_too_long_has_failed,
    a_hook_may_say_much_and_leave_something_behind,
    hooks_in_a_container_that_is_not_finished_are_refused,
    what_was_created_and_cannot_be_shown_is_stopped,
    a_hook_in_the_container_that_fails_ends_it,
);

/// A hook that runs a script of the machine's `sh`, in the bundle's directory.
fn hook(script: &str) -> Value {
    json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["WHO=hook"]})
}

/// runtime-tools: `hooks`, `prestart`, `poststart`, `poststop`; contest: `create_runtime`.
fn hooks_are_called_in_their_order(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "echo process >> /output");
    let note = |text: &str| hook(&format!("echo {text} of $WHO >> rootfs/output"));
    bundle.config["hooks"] = json!({
        "prestart": [note("prestart 1"), note("prestart 2")],
        "createRuntime": [note("createRuntime")],
        "poststart": [hook("while ! grep -q process rootfs/output; do :; done; echo poststart 1 >> rootfs/output"),
                      note("poststart 2")],
        "poststop": [note("poststop 1"), note("poststop 2")]
    });
    bundle.create();
    let created = "prestart 1 of hook\nprestart 2 of hook\ncreateRuntime of hook\n";
    assert_eq!(bundle.read("output"), created);
    bundle.start();
    bundle.wait();
    let started = format!("{created}process\npoststart 1\npoststart 2 of hook\n");
    assert_eq!(bundle.read("output"), started);
    assert!(bundle.delete());
    assert_eq!(
        bundle.read("output"),
        format!("{started}poststop 1 of hook\npoststop 2 of hook\n")
    );
}

/// runtime-tools: `hooks_stdin`.
fn hooks_read_the_state(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "sleep 1000");
    bundle.config["annotations"] = json!({"org.example.key": "value"});
    let keep = |name: &str| json!([hook(&format!("cat > {name}"))]);
    bundle.config["hooks"] = json!({"prestart": keep("prestart"), "poststart": keep("poststart"), "poststop": keep("poststop")});
    bundle.create();
    let created = bundle.state().expect("there is a container");
    bundle.start();
    let running = bundle.state().expect("there is a container");
    assert!(bundle.kill("KILL"));
    bundle.wait();
    let stopped = bundle.state().expect("there is a container");
    assert!(bundle.delete());
    for (name, state) in [
        ("prestart", created),
        ("poststart", running),
        ("poststop", stopped),
    ] {
        let read: Value =
            serde_json::from_str(&env.read(format!("a/{name}"))).expect("a state is JSON");
        assert_eq!(read, state, "{name}");
    }
}

/// runtime-tools: `prestart_fail`.
fn a_hook_that_fails_before_the_start_ends_the_container(env: &TestEnvironment) {
    for list in ["prestart", "createRuntime"] {
        let mut bundle = Bundle::new(env, list, "touch /output");
        bundle.config["hooks"] = json!({
            list: [hook("echo why >&2; exit 3")],
            "poststop": [hook("touch poststop")]
        });
        let told = bundle.refusal();
        let expected =
            format!("error: the hook hooks.{list}[0] (/bin/sh) failed: exit status: 3: why");
        assert_eq!(told, expected);
        assert!(!bundle.root().join("output").exists());
        assert!(bundle.path().join("poststop").exists());
    }
    env.assert_nothing_left();
}

/// runtime-tools: `poststart_fail`, `poststop_fail`.
fn a_hook_that_fails_later_is_a_warning(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "true");
    let both = |name: &str| json!([{"path": "/bin/false", "args": ["false"]}, hook(&format!("touch {name}"))]);
    bundle.config["hooks"] = json!({"poststart": both("poststart"), "poststop": both("poststop")});
    bundle.create();
    let log = env.root().join("log");
    let log = log.to_string_lossy();
    assert_eq!(bundle.agent(&["--log", &log, "start", "a"]).code(), 0);
    bundle.wait();
    assert_eq!(bundle.agent(&["--log", &log, "delete", "a"]).code(), 0);
    assert!(bundle.path().join("poststart").exists() && bundle.path().join("poststop").exists());
    let log = env.read("log");
    let warnings = log
        .lines()
        .filter(|line| line.contains("level=warning") && line.contains("/bin/false"));
    assert_eq!(warnings.count(), 2, "{log}");
}

fn a_hook_that_takes_too_long_has_failed(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "true");
    let mut slow = hook("sleep 1000");
    slow["timeout"] = json!(1);
    bundle.config["hooks"] = json!({"prestart": [slow]});
    assert!(bundle.refusal().contains("it took longer than 1 s"));
}

fn hooks_in_a_container_that_is_not_finished_are_refused(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "true");
    bundle.config["hooks"] = json!({"createContainer": [hook("true")]});
    let told = bundle.refusal();
    assert!(
        told.contains("hooks.createContainer is not offered"),
        "{told}"
    );
}

/// contest: `start_container_hook_env_inherit`.
fn hooks_in_the_container_have_the_rights_of_its_command(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "true");
    let rights = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status";
    bundle.config["process"]["args"] =
        json!(["sh", "-c", format!("echo process >> /output; {rights}")]);
    bundle.config["process"]["env"] = json!(["PATH=/bin", "OF=command"]);
    let inside = |script: &str, env: Value| json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": env});
    let note =
        |number: u32| format!("echo hook {number} of $OF in $(hostname) as $(id -u) >> /output");
    bundle.config["hooks"] = json!({
        "createRuntime": [hook("echo createRuntime > rootfs/output")],
        "startContainer": [
            inside(&note(1), Value::Null),
            inside(&note(2), json!(["PATH=/bin", "OF=itself"])),
            inside(&format!("cat > /state; {rights} > /rights"), Value::Null),
        ],
    });
    bundle.create();
    assert_eq!(bundle.read("output"), "createRuntime\n");
    let created = bundle.state().expect("there is a container");
    bundle.start();
    bundle.wait();
    assert_eq!(
        bundle.read("output"),
        "createRuntime\nhook 1 of command in mrsdalloway as 0\nhook 2 of itself in mrsdalloway as 0\nprocess\n"
    );
    let read: Value = serde_json::from_str(&bundle.read("state")).expect("a state is JSON");
    assert_eq!(read, created);
    assert!(!bundle.output().is_empty());
    assert_eq!(bundle.read("rights"), bundle.output());
}

fn a_hook_in_the_container_that_fails_ends_it(env: &TestEnvironment) {
    for (index, (hook, problem)) in [
        (
            json!({"path": "/bin/sh", "args": ["sh", "-c", "echo why >&2; exit 3"]}),
            "(/bin/sh) failed: exit status: 3: why",
        ),
        (
            json!({"path": "/missing"}),
            "(/missing) failed: there is no `/missing` in the image",
        ),
        (
            json!({"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}),
            "(/bin/sleep) failed: it took longer than 1 s",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut bundle = Bundle::new(env, &format!("c{index}"), "touch /output");
        bundle.config["hooks"] = json!({"startContainer": [hook]});
        bundle.create();
        assert!(!bundle.try_start());
        let told = bundle.errors();
        let expected = format!("error: the hook hooks.startContainer[0] {problem}\n");
        assert_eq!(told, expected);
        bundle.wait();
        assert!(bundle.delete() && !bundle.root().join("output").exists());
    }
    env.assert_nothing_left();
}

/// Of `create`, of `start` in the container, and of `start` outside of it.
fn nobody_waits_for_a_hook_to_end_a_container(env: &TestEnvironment) {
    let waits = |list: &str| {
        let mut bundle = Bundle::new(env, list, "sleep 1000");
        let directory = if list == "startContainer" {
            "/"
        } else {
            "rootfs/"
        };
        let script = format!("touch {directory}reached; sleep 1000; touch {directory}over");
        bundle.config["hooks"] = json!({list: [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}]});
        bundle
    };
    let until_reached = |bundle: &Bundle<'_>| {
        let reached = harness::wait::until(harness::wait::PATIENCE, || {
            bundle.root().join("reached").exists().then_some(())
        });
        assert!(reached.is_some(), "{}", bundle.errors());
    };
    for list in ["prestart", "createRuntime"] {
        let bundle = waits(list);
        std::thread::scope(|scope| {
            let creator = scope.spawn(|| bundle.try_create(&[]));
            until_reached(&bundle);
            assert_eq!(bundle.status(), "creating");
            assert!(!bundle.kill("KILL") && !bundle.try_start() && !bundle.delete());
            assert_eq!(bundle.agent(&["delete", "--force", list]).code(), 0);
            assert_eq!(bundle.status(), "");
            assert!(!creator.join().expect("create ends"));
        });
        let told = bundle.errors();
        for operation in ["sent a signal", "started", "deleted"] {
            let expected = format!("the container {list} is creating: it cannot be {operation}");
            assert!(told.contains(&expected), "{told}");
        }
    }
    for (list, status) in [("startContainer", "created"), ("poststart", "running")] {
        let bundle = waits(list);
        bundle.create();
        std::thread::scope(|scope| {
            let starter = scope.spawn(|| bundle.try_start());
            until_reached(&bundle);
            assert_eq!(bundle.status(), status);
            assert!(!bundle.try_start());
            assert!(bundle.kill("KILL"), "{}", bundle.errors());
            bundle.wait();
            assert!(!bundle.kill("KILL"));
            assert_eq!(bundle.agent(&["delete", "--force", list]).code(), 0);
            assert!(!starter.join().expect("start ends"));
        });
        assert!(!bundle.root().join("over").exists());
    }
    env.assert_nothing_left();
}

/// A container that nobody can be told of has been one all the same: its `poststop` hooks are called.
fn what_was_created_and_cannot_be_shown_is_stopped(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "true");
    bundle.config["hooks"] = json!({"poststop": [hook("cat > poststop")]});
    let nowhere = env.root().join("nowhere/pid");
    assert!(!bundle.try_create(&["--pid-file", &nowhere.to_string_lossy()]));
    assert_eq!(bundle.status(), "");
    let state: Value = serde_json::from_str(&env.read("a/poststop")).expect("a state is JSON");
    assert_eq!(state["status"], "stopped");
}

fn a_hook_may_say_much_and_leave_something_behind(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "true");
    let script = "head -c 1000000 /dev/zero >&2 || exit; sleep 1000 & echo $! > left";
    bundle.config["hooks"] = json!({"prestart": [hook(script)]});
    let created = bundle.try_create(&[]);
    let left = env.read("a/left");
    must(std::process::Command::new("kill").arg(left.trim()));
    assert!(created, "{}", bundle.errors());
}
