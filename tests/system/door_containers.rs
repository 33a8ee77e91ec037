//! Containers by name, from another shell: `ps`, `logs`, `kill`, `stop`, `wait`, `rm`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use harness::{Finished, TestEnvironment, for_everyone, for_one_user, for_root, images, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

for_everyone!(
    a_detached_container_goes_on_and_is_known_by_its_name,
    a_log_is_followed_to_its_end,
    a_container_dies_with_its_supervisor_and_says_so,
    what_a_container_uses_is_shown,
);

for_one_user!(
    a_name_is_had_once,
    a_name_leads_nowhere,
    a_container_that_runs_is_not_removed,
    signals_have_names,
    a_container_that_does_not_listen_is_killed,
    what_cannot_start_is_told_to_the_caller,
    a_log_keeps_streams_apart,
    fifty_containers_run_at_once,
);

for_root!(
    another_user_is_not_answered,
    a_further_process_is_in_the_group_of_its_container,
);

/// The agent with these words, to its end.
pub(crate) fn agent(env: &TestEnvironment, words: &[&str]) -> Finished {
    env.agent(words).run()
}

/// `agent run -d` with these words behind it.
#[track_caller]
pub(crate) fn start(env: &TestEnvironment, words: &[&str]) {
    let _ = agent(env, &[&["run", "-d"], words].concat()).expect(0);
}

/// Kills a container and forgets it.
#[track_caller]
pub(crate) fn stop(env: &TestEnvironment, name: &str) {
    let _ = agent(env, &["rm", "-f", name]).expect(0);
}

/// `agent ps -a`, as `name status exit-code`.
fn listing(env: &TestEnvironment) -> Vec<String> {
    let text = agent(env, &["ps", "-a", "--format", "json"])
        .expect(0)
        .output();
    let list: Vec<Value> = serde_json::from_str(&text).expect("ps prints a list");
    let shown = |one: &Value| {
        let word = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let code = one["exit_code"]
            .as_u64()
            .map_or_else(String::new, |code| format!(" {code}"));
        format!("{} {}{code}", word("name"), word("status"))
    };
    list.iter().map(shown).collect()
}

fn a_detached_container_goes_on_and_is_known_by_its_name(env: &TestEnvironment) {
    let started = agent(
        env,
        &[
            "run",
            "-d",
            "--name",
            "web",
            "host",
            "sh",
            "-c",
            "echo hello; sleep 1000",
        ],
    );
    assert_eq!(started.expect(0).output(), "web\n");
    assert_eq!(listing(env), ["web running"]);
    assert_eq!(agent(env, &["ps", "-q"]).output(), "web\n");
    let mut waiting = env.agent(["wait", "web"]).spawn();
    assert_eq!(
        agent(env, &["kill", "-s", "TERM", "web"])
            .expect(0)
            .output(),
        "web\n"
    );
    waiting.wait_for("143\n");
    let _ = waiting.finish().expect(0);
    assert_eq!(listing(env), ["web exited 143"]);
    assert_eq!(agent(env, &["logs", "web"]).expect(0).output(), "hello\n");
    assert_eq!(agent(env, &["wait", "web"]).expect(0).output(), "143\n");
    assert_eq!(agent(env, &["ps", "-q"]).output(), "");
    let _ = agent(env, &["rm", "web"]).expect(0);
    assert_eq!(listing(env), [""; 0]);
}

fn a_log_is_followed_to_its_end(env: &TestEnvironment) {
    env.write("shared/.keep", "");
    let volume = format!("{}:/shared", env.root().join("shared").display());
    let script = "echo one; echo two; until [ -e /shared/go ]; do sleep 0.02; done; echo three; echo four >&2; exit 6";
    start(
        env,
        &[
            "--rm", "--name", "web", "-v", &volume, "host", "sh", "-c", script,
        ],
    );
    // Only then is it the last line.
    let said = wait::until(Duration::from_secs(20), || {
        let log = env.agent(["logs", "web"]).run().output();
        log.contains("two\n").then_some(())
    });
    said.expect("the container says two");
    let mut following = env.agent(["logs", "-f", "--tail", "1", "web"]).spawn();
    following.wait_for("two\n");
    env.write("shared/go", "");
    let done = following.finish().expect(0);
    // Whoever reads along gets it all, although the container is forgotten in the same moment.
    assert_eq!(done.output(), "two\nthree\n");
    assert_eq!(done.errors(), "four\n");
}

/// The supervisor's process id.
fn supervisor(env: &TestEnvironment, name: &str) -> Pid {
    let text = fs::read_to_string(env.data().join("containers").join(name).join("state.json"));
    let record: Value = serde_json::from_str(&text.expect("read the record")).expect("JSON");
    let id = record["supervisor"]
        .as_i64()
        .and_then(|id| i32::try_from(id).ok());
    id.and_then(Pid::from_raw)
        .expect("the record names the supervisor")
}

fn a_container_dies_with_its_supervisor_and_says_so(env: &TestEnvironment) {
    let script = "trap '' TERM HUP INT; setsid sleep 1000 & echo ready; while :; do sleep 1; done";
    start(env, &["--name", "web", "host", "sh", "-c", script]);
    let mut running = env
        .agent(["exec", "web", "sh", "-c", "echo in; sleep 1000"])
        .spawn();
    running.wait_for("in\n");
    kill_process(supervisor(env, "web"), Signal::KILL).expect("kill the supervisor");
    let _ = running.finish().expect(125).says("the container is over");
    env.assert_nothing_survives_a_second();
    assert_eq!(listing(env), ["web dead"]);
    assert_eq!(agent(env, &["logs", "web"]).expect(0).output(), "ready\n");
    let _ = agent(env, &["wait", "web"])
        .expect(2)
        .says("died with its supervisor");
    let _ = agent(env, &["kill", "web"])
        .expect(2)
        .says("is not running");
    let _ = agent(env, &["rm", "web"]).expect(0);
    let _ = agent(env, &["run", "--rm", "--name", "web", "host", "true"]).expect(0);
}

fn a_name_is_had_once(env: &TestEnvironment) {
    start(env, &["--name", "web", "host", "sleep", "1000"]);
    let taken = |detach: &[&str]| {
        let words = [&["run"], detach, &["--name", "web", "host", "true"]].concat();
        agent(env, &words).expect(125).errors()
    };
    let expected = "error: there is a container called web already\n\
        help: take another name, or remove it when it is over: agent rm web\n";
    assert_eq!(taken(&[]), expected);
    assert_eq!(taken(&["-d"]), expected);
    stop(env, "web");
    // A container that is over keeps its name until it is removed.
    let _ = agent(env, &["run", "--name", "web", "host", "true"]).expect(0);
    assert_eq!(taken(&[]), expected);
}

fn a_name_leads_nowhere(env: &TestEnvironment) {
    env.write("victim/state.json", "{}");
    for name in ["../victim", "..", ".", "/etc", "a/b", "-x", "", "a\nb"] {
        let made = agent(env, &["run", &format!("--name={name}"), "host", "true"]).expect(125);
        assert!(
            made.errors().contains("is not a container's name"),
            "{made}"
        );
        for command in ["rm", "kill", "logs", "wait", "stop"] {
            let done = agent(env, &[command, "--", name]).expect(2);
            assert!(
                done.errors().contains("there is no container called"),
                "{done}"
            );
        }
    }
    assert_eq!(env.read("victim/state.json"), "{}");
}

fn a_container_that_runs_is_not_removed(env: &TestEnvironment) {
    start(env, &["--name", "web", "host", "sleep", "1000"]);
    let refused = agent(env, &["rm", "web", "nobody"]).expect(2);
    insta::assert_snapshot!(refused.errors(), @r#"
    error: the container web is running
    help: stop it first (agent stop web), or have it killed with -f
    error: there is no container called "nobody"
    "#);
    assert_eq!(listing(env), ["web running"]);
    let _ = agent(env, &["rm", "-f", "web"]).expect(0);
    assert_eq!(listing(env), [""; 0]);
    env.assert_nothing_left();
}

fn signals_have_names(env: &TestEnvironment) {
    let script = "trap 'echo usr1' USR1; trap 'echo 37; exit 9' 37; echo ready; while :; do sleep 0.05; done";
    start(env, &["--name", "web", "host", "bash", "-c", script]);
    let mut following = env.agent(["logs", "-f", "web"]).spawn();
    following.wait_for("ready");
    let _ = agent(env, &["kill", "--signal", "SIGUSR1", "web"]).expect(0);
    following.wait_for("usr1");
    let _ = agent(env, &["kill", "-s", "RTMIN+3", "web"]).expect(0);
    following.wait_for("37");
    let _ = following.finish().expect(0);
    assert_eq!(listing(env), ["web exited 9"]);
    let _ = agent(env, &["kill", "-s", "STOP", "web"])
        .expect(2)
        .says("it is no signal");
}

fn a_container_that_does_not_listen_is_killed(env: &TestEnvironment) {
    let script = "trap 'echo no' TERM; echo ready; while :; do sleep 0.05; done";
    start(env, &["--name", "web", "host", "bash", "-c", script]);
    let mut following = env.agent(["logs", "-f", "web"]).spawn();
    following.wait_for("ready");
    let _ = agent(env, &["stop", "-t", "1", "web"]).expect(0);
    let _ = following.finish().expect(0).says("no\n");
    assert_eq!(listing(env), ["web exited 137"]);
}

fn what_cannot_start_is_told_to_the_caller(env: &TestEnvironment) {
    let detached = |words: &[&str]| agent(env, &[&["run", "-d"], words].concat());
    let _ = detached(&["host", "no-such-program"])
        .expect(127)
        .says("there is no `no-such-program`");
    let _ = detached(&["tar:gone.tar", "true"])
        .expect(125)
        .says("gone.tar");
    assert_eq!(listing(env), [""; 0]);
}

fn a_log_keeps_streams_apart(env: &TestEnvironment) {
    let script = "printf 'out\\0\\377\\n'; echo err >&2; printf last";
    let done = agent(env, &["run", "--name", "web", "host", "sh", "-c", script]).expect(0);
    let logged = agent(env, &["logs", "web"]).expect(0);
    assert_eq!(
        (logged.stdout(), logged.errors()),
        (done.stdout(), done.errors())
    );
    assert_eq!(logged.stdout(), b"out\0\xff\nlast");
    let _ = agent(env, &["logs", "-t", "web"]).expect(0).says("Z last");
}

fn fifty_containers_run_at_once(env: &TestEnvironment) {
    let image = images::plain();
    let names: Vec<String> = (0..50).map(|number| format!("c{number}")).collect();
    let running: Vec<_> = names
        .iter()
        .map(|name| {
            env.agent(["run", "-d", "--rm", "--name", name, &image, "sleep", "1000"])
                .spawn()
        })
        .collect();
    for one in running {
        let _ = one.finish().expect(0);
    }
    assert_eq!(agent(env, &["ps", "-q"]).output().lines().count(), 50);
    let mut words = vec!["kill"];
    words.extend(names.iter().map(String::as_str));
    assert_eq!(agent(env, &words).expect(0).output().lines().count(), 50);
    let gone = harness::wait::until(harness::wait::PATIENCE, || {
        listing(env).is_empty().then_some(())
    });
    assert!(gone.is_some(), "{:?}", listing(env));
}

/// Not even where somebody has opened the way to the socket.
fn another_user_is_not_answered(env: &TestEnvironment) {
    start(env, &["--name", "web", "host", "sleep", "1000"]);
    let containers = env.data().join("containers");
    let place = containers.join("web");
    for (path, mode) in [
        (env.data(), 0o755),
        (containers, 0o755),
        (place.join("control"), 0o777),
        (place.join("state.json"), 0o644),
        (place, 0o755),
    ] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("open the way");
    }
    let other = |words: &[&str]| {
        let user = "slipway-solo";
        Command::new("setpriv")
            .args(["--reuid", user, "--regid", user, "--clear-groups"])
            .arg(env.root().join("agent"))
            .args(words)
            .env("SLIPWAY_DATA", env.data())
            .env("SLIPWAY_CONFIG", "/dev/null")
            .output()
            .expect("run the agent as another user")
    };
    // Whoever can read the record sees it.
    let seen = other(&["ps", "-q"]);
    assert_eq!(String::from_utf8_lossy(&seen.stdout), "web\n", "{seen:?}");
    let refused = other(&["exec", "web", "id"]);
    assert_eq!(refused.status.code(), Some(125), "{refused:?}");
    assert!(refused.stdout.is_empty(), "{refused:?}");
    let refused = other(&["kill", "web"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert_eq!(listing(env), ["web running"]);
    stop(env, "web");
}

/// What `agent stats` says once of this container.
#[track_caller]
fn stats(env: &TestEnvironment, name: &str) -> Value {
    let words = ["stats", "--no-stream", "--format", "json", name];
    let text = agent(env, &words).expect(0).output();
    let list: Vec<Value> = serde_json::from_str(&text).expect("stats prints a list");
    assert_eq!(list.len(), 1, "{text}");
    list.into_iter().next().unwrap_or_default()
}

fn what_a_container_uses_is_shown(env: &TestEnvironment) {
    let script = "perl -e '$kept = \"x\" x 30_000_000; 1 while 1' & echo up; wait";
    let limit = ["--memory", "200m"];
    start(
        env,
        &[
            &["--name", "busy"],
            &limit[..],
            &["host", "sh", "-c", script],
        ]
        .concat(),
    );
    start(env, &["--name", "idle", "host", "sleep", "1000"]);
    // Until it has what it keeps.
    let busy = wait::until(wait::PATIENCE, || {
        let uses = stats(env, "busy");
        (uses["memory_bytes"].as_u64() > Some(25_000_000)).then_some(uses)
    });
    let busy = busy.expect("it keeps 30 MB");
    assert!(busy["cpu_percent"].as_f64() > Some(1.0), "{busy}");
    assert_eq!(
        (&busy["pids"], &busy["memory_limit_bytes"]),
        (&json!(2), &json!(200 << 20))
    );
    let idle = stats(env, "idle");
    assert_eq!(
        (&idle["pids"], &idle["memory_limit_bytes"]),
        (&json!(1), &Value::Null)
    );
    assert!(
        idle["cpu_us"].as_u64() < busy["cpu_us"].as_u64(),
        "{idle} {busy}"
    );
    let table = agent(env, &["stats", "--no-stream"]).expect(0).output();
    let names: Vec<_> = table
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["NAME", "busy", "idle"], "{table}");
    // It goes on until there is nothing more to show.
    let mut following = env.agent(["stats", "--format", "json", "idle"]).spawn();
    following.wait_for("\"name\":\"idle\"");
    stop(env, "idle");
    let _ = following.finish().expect(0);
    let _ = agent(env, &["stats", "--no-stream", "idle"])
        .expect(2)
        .says("idle");
    stop(env, "busy");
}

fn a_further_process_is_in_the_group_of_its_container(env: &TestEnvironment) {
    for version in ["", crate::limits::ONLY_VERSION_2] {
        let run = ["run", "-d", "--name", "web", "host", "sleep", "1000"];
        let _ = env.agent(run).after(version).run().expect(0);
        // Its view of control groups begins with its container's.
        let groups = agent(env, &["exec", "web", "cat", "/proc/self/cgroup"]);
        let groups = groups.expect(0).output();
        assert!(
            !groups.is_empty() && groups.lines().all(|line| line.ends_with(":/")),
            "{groups}"
        );
        stop(env, "web");
    }
}
