//! The end of a step is the end of everything it started, and no byte of its log is lost.

use std::fs;

use harness::{TestEnvironment, for_everyone, for_one_user, wait};

use crate::support::{output_of, run_local, run_script, zygote_of};

for_everyone!(
    processes_in_the_background_die_with_their_step,
    the_last_byte_comes_before_the_end,
    the_zygote_is_small,
);

for_one_user!(
    a_step_that_closes_its_output_goes_on,
    a_step_that_kills_its_parent_hurts_only_itself,
    a_signal_that_ends_a_command_is_named,
    a_thousand_orphans_are_reaped,
);

fn processes_in_the_background_die_with_their_step(env: &TestEnvironment) {
    let script = "setsid sleep 1001 & \n nohup sleep 1002 >/dev/null 2>&1 & \n \
        (sh -c 'sleep 1003 & exec setsid sh -c \"trap : TERM HUP INT; sleep 1004 & while :; do sleep 1; done\" &') & \n \
        sleep 0.2; echo done";
    let log = output_of(env, "host", script);
    assert_eq!(log, "done\n");
    env.assert_nothing_left();
}

fn the_last_byte_comes_before_the_end(env: &TestEnvironment) {
    for _ in 0..5 {
        let done = run_script(env, "host", "printf first; printf last >&2", &["--json"]).expect(0);
        let kinds: Vec<_> = done
            .events()
            .iter()
            .filter_map(|event| event["type"].as_str().map(str::to_owned))
            .filter(|kind| kind == "log" || kind == "step_finished")
            .collect();
        assert_eq!(kinds.last().map(String::as_str), Some("step_finished"));
        assert_eq!(done.log("step"), "firstlast");
    }
}

/// Every agent has one, and it is there whether a step runs or not.
fn the_zygote_is_small(env: &TestEnvironment) {
    const LIMIT_KIB: u64 = 3 << 10;
    env.pipeline("image: host\nsteps:\n  - run: 'true'\n  - run: \"echo ready; sleep 1000\"\n");
    let mut running = env.agent(["run-local"]).spawn();
    running.wait_for("ready\n");
    let zygote = zygote_of(running.id());
    // It gives memory back when it has nothing to do.
    let size = || resident(&zygote);
    let small = wait::until(wait::PATIENCE, || {
        Some(size()).filter(|size| *size < LIMIT_KIB)
    });
    let size = size();
    running.interrupt();
    let _ = running.finish().expect(130);
    assert!(small.is_some(), "{size} KiB");
}

/// Memory that a process has mapped, in KiB.
fn resident(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("look at a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    size.expect("a process has a size")
}

fn a_step_that_closes_its_output_goes_on(env: &TestEnvironment) {
    env.pipeline("image: host\nsteps:\n  - run: exec >&- 2>&-; sleep 0.3; touch went-on\n  - run: test -e went-on\n");
    let _ = run_local(env, &[]).expect(0);
}

fn a_step_that_kills_its_parent_hurts_only_itself(env: &TestEnvironment) {
    env.pipeline(
        "image: host\nsteps:\n  - { name: shot, run: \"kill -9 $PPID; kill -9 1; kill -9 -1; exit 3\", allow_failure: true }\n  - { name: next, run: echo lives }\n",
    );
    let _ = run_local(env, &[]).expect(0).says("lives");
}

fn a_signal_that_ends_a_command_is_named(env: &TestEnvironment) {
    let _ = run_script(env, "host", "kill -SEGV $$", &[])
        .expect(1)
        .says("SIGSEGV");
}

fn a_thousand_orphans_are_reaped(env: &TestEnvironment) {
    let script = "for i in $(seq 1000); do (true &) ; done; sleep 0.2; grep -l '^State:.*Z' /proc/[0-9]*/status 2>/dev/null | wc -l";
    assert_eq!(output_of(env, "host", script), "0\n");
}
