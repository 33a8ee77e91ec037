//! Hooks (config.md, "POSIX-platform Hooks").

use harness::{TestEnvironment, for_everyone, for_one_user};
use serde_json::{Value, json};

use super::Bundle;
use crate::support::must;

for_everyone!(hooks_are_called_in_their_order);

for_one_user!(
    hooks_read_the_state,
    a_hook_that_fails_before_the_start_ends_the_container,
    a_hook_that_fails_later_is_a_warning,
    a_hook_that_takes_too_long_has_failed,
    a_hook_may_say_much_and_leave_something_behind,
    hooks_inside_of_the_container_are_refused,
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

fn hooks_inside_of_the_container_are_refused(env: &TestEnvironment) {
    for list in ["createContainer", "startContainer"] {
        let mut bundle = Bundle::new(env, list, "true");
        bundle.config["hooks"] = json!({list: [hook("true")]});
        assert!(
            bundle
                .refusal()
                .contains(&format!("hooks.{list} is not offered"))
        );
    }
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
