//! `agent exec`: a further process in a running container, with no more rights than its command.

use harness::{Finished, TestEnvironment, for_everyone, for_one_user, images};
use rustix::process::Signal;

use crate::door_containers::{agent, start, stop};

for_everyone!(
    a_process_joins_a_running_container,
    a_process_has_no_more_rights_than_the_command,
    a_process_has_a_terminal_of_the_containers,
    a_process_dies_with_the_container,
);

for_one_user!(
    a_process_ends_with_whoever_asked_for_it,
    a_process_can_only_join_what_runs,
    signals_reach_the_process,
);

fn exec(env: &TestEnvironment, words: &[&str]) -> Finished {
    agent(env, &[&["exec"], words].concat())
}

fn a_process_joins_a_running_container(env: &TestEnvironment) {
    let image = images::plain();
    start(
        env,
        &[
            "--name",
            "web",
            "-e",
            "A=1",
            "-e",
            "B=1",
            "-w",
            "/srv",
            "--hostname",
            "box",
            "--network",
            "none",
            &image,
            "sleep",
            "1000",
        ],
    );
    let script = "echo $A $B; pwd; hostname; id -u; ls /sys/class/net; grep -l sleep /proc/[0-9]*/comm | wc -l; exit 3";
    let done = exec(env, &["-e", "B=2", "web", "sh", "-c", script]).expect(3);
    assert_eq!(done.output(), "1 2\n/srv\nbox\n0\nlo\n1\n");
    let done = exec(
        env,
        &[
            "-u",
            "1234:99",
            "-w",
            "/tmp",
            "web",
            "sh",
            "-c",
            "id -u; id -g; pwd; echo apart >&2",
        ],
    );
    let done = done.expect(0);
    assert_eq!(
        (done.output(), done.errors()),
        ("1234\n99\n/tmp\n".to_owned(), "apart\n".to_owned())
    );
    let done = env
        .agent(["exec", "-i", "web", "tr", "a-z", "A-Z"])
        .stdin("typed\n")
        .run()
        .expect(0);
    assert_eq!(done.output(), "TYPED\n");
    let _ = exec(env, &["web", "no-such-program"]).expect(127);
    let _ = exec(env, &["web", "/etc/passwd"]).expect(126);
    let _ = exec(env, &["web", "sh", "-c", "kill -9 $$"]).expect(137);
    stop(env, "web");
}

/// What a process may do and sees of itself, save what differs from one to the next.
const LOOK: &str = "grep -E '^(Uid|Gid|Cap|NoNewPrivs|Seccomp:|Sig(Blk|Ign))' /proc/self/status; cat /proc/self/uid_map /proc/self/limits; \
    for kind in user mnt pid uts ipc cgroup net; do readlink /proc/self/ns/$kind; done; umask; cat /proc/self/cgroup; echo looked";

fn a_process_has_no_more_rights_than_the_command(env: &TestEnvironment) {
    let image = images::plain();
    for user in ["0", "1234:99"] {
        let script = format!("{LOOK}; sleep 1000");
        start(
            env,
            &["--name", "web", "-u", user, &image, "sh", "-c", &script],
        );
        let mut following = env.agent(["logs", "-f", "web"]).spawn();
        following.wait_for("looked");
        let further = exec(env, &["web", "sh", "-c", LOOK]).expect(0);
        // The process itself, without a shell that opens files of its own.
        let open = exec(env, &["web", "ls", "/proc/self/fd"])
            .expect(0)
            .output();
        // The fourth is of `ls`, which reads the directory.
        assert_eq!(open.split_whitespace().count(), 4, "{open}");
        let refused = exec(env, &["-w", "/proc/self/fd/3", "web", "true"]).expect(125);
        assert!(refused.errors().contains("cannot be entered"), "{refused}");
        stop(env, "web");
        let command = following.finish().expect(0).output();
        // With one id, another user is one in a user namespace of the process's own.
        let comparable = |text: &str| {
            let lines = text
                .lines()
                .filter(|line| user == "0" || !line.starts_with("user:"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            comparable(&further.output()),
            comparable(&command),
            "as {user}"
        );
    }
}

fn a_process_has_a_terminal_of_the_containers(env: &TestEnvironment) {
    start(env, &["--name", "web", "host", "sleep", "1000"]);
    // What the container's root may do to its own /dev does not matter.
    let _ = exec(
        env,
        &[
            "web",
            "sh",
            "-c",
            "rm /dev/ptmx; ln -s /etc/passwd /dev/ptmx",
        ],
    )
    .expect(0);
    let mut running = env
        .agent(["exec", "-it", "-e", "PS1=prompt ", "web", "sh"])
        .on_terminal()
        .spawn();
    running.wait_for("prompt ");
    running.press("stty size; tty\r");
    running.wait_for("60 120\r\n/dev/pts/0\r\n");
    running.press("sh -c 'echo started; exec sleep 1001'\r");
    running.wait_for("started\r\n");
    running.press_ctrl_c();
    running.wait_for("^C\r\nprompt ");
    running.press("exit 4\r");
    let _ = running.finish().expect(4);
    stop(env, "web");
}

fn a_process_dies_with_the_container(env: &TestEnvironment) {
    start(env, &["--name", "web", "host", "sleep", "1000"]);
    let script = "trap '' HUP TERM INT; echo ready; while :; do sleep 0.05; done";
    let mut running = env.agent(["exec", "web", "sh", "-c", script]).spawn();
    running.wait_for("ready");
    stop(env, "web");
    let _ = running.finish().expect(137);
    env.assert_nothing_left();
}

fn a_process_ends_with_whoever_asked_for_it(env: &TestEnvironment) {
    start(env, &["--name", "web", "host", "sleep", "1000"]);
    for script in [
        "echo ready; exec sleep 1001",
        "trap '' HUP; echo ready; while :; do sleep 0.05; done",
    ] {
        let mut running = env.agent(["exec", "web", "sh", "-c", script]).spawn();
        running.wait_for("ready");
        running.signal(Signal::KILL);
        let _ = running.finish();
        let left = harness::wait::until(harness::wait::PATIENCE, || {
            let script = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '";
            let seen = exec(env, &["web", "sh", "-c", script]).expect(0).output();
            (!seen.contains("echo ready") && !seen.contains("sleep 1001")).then_some(())
        });
        assert!(left.is_some(), "{script} lives on");
    }
    stop(env, "web");
}

fn a_process_can_only_join_what_runs(env: &TestEnvironment) {
    let _ = exec(env, &["nobody", "true"])
        .expect(125)
        .says("there is no container called \"nobody\"");
    let _ = agent(env, &["run", "--name", "over", "host", "true"]).expect(0);
    let _ = exec(env, &["over", "true"])
        .expect(125)
        .says("the container over is not running");
}

fn signals_reach_the_process(env: &TestEnvironment) {
    start(env, &["--name", "web", "host", "sleep", "1000"]);
    let script = "trap 'echo usr1; exit 5' USR1; echo ready; while :; do sleep 0.05; done";
    let mut running = env.agent(["exec", "web", "bash", "-c", script]).spawn();
    running.wait_for("ready");
    running.signal(Signal::USR1);
    let _ = running.finish().expect(5).says("usr1");
    stop(env, "web");
}
