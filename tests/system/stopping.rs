//! Timeouts, Ctrl-C and the agent's own death: everything ends, and a user is told.

use harness::{TestEnvironment, for_everyone, for_one_user};
use rustix::process::Signal;

use crate::support::run_local;

for_everyone!(
    ctrl_c_ends_the_run_with_a_summary,
    nothing_survives_the_agents_death,
);

for_one_user!(
    a_step_that_ignores_sigterm_is_killed_after_the_grace_period,
    a_second_ctrl_c_does_not_wait,
    a_step_may_clean_up_when_it_is_stopped,
    a_reader_that_goes_away_stops_the_run,
);

const STUBBORN: &str = "image: host\nsteps:\n  - name: stubborn\n    run: |\n      trap 'echo ignored' TERM INT HUP\n      echo ready\n      while :; do sleep 0.1; done\n  - run: echo never\n";

fn ctrl_c_ends_the_run_with_a_summary(env: &TestEnvironment) {
    env.pipeline("image: host\nsteps:\n  - { name: long, run: \"echo ready; sleep 1000\" }\n  - { name: next, run: echo never }\n");
    let mut running = env.agent(["run-local"]).spawn();
    running.wait_for("ready\n");
    running.interrupt();
    let _ = running
        .finish()
        .expect(130)
        .says("run: cancelled")
        .says("RESULT");
}

fn nothing_survives_the_agents_death(env: &TestEnvironment) {
    env.pipeline(
        "image: host\njobs:\n  a:\n    steps:\n      - run: |\n          setsid sleep 1000 &\n          echo ready-a\n          sleep 1000\n  \
         b:\n    steps:\n      - run: |\n          trap '' TERM HUP INT\n          echo ready-b\n          while :; do sleep 1; done\n",
    );
    let mut running = env.agent(["run-local", "--jobs-parallel", "2"]).spawn();
    running.wait_for("ready-a");
    running.wait_for("ready-b");
    running.signal(Signal::KILL);
    let _ = running.finish().expect(137);
    env.assert_nothing_survives_a_second();
    // What is left on disk, the next run removes.
    env.pipeline("image: host\nsteps: [{ run: echo again }]\n");
    let _ = run_local(env, &[]).expect(0).says("again");
}

fn a_step_that_ignores_sigterm_is_killed_after_the_grace_period(env: &TestEnvironment) {
    env.write("config.yml", "grace: 1s\n");
    env.pipeline(&STUBBORN.replace("name: stubborn", "name: stubborn\n    timeout: 500ms"));
    let done = run_local(env, &["--json"]).expect(1);
    // The signal goes to the process group: the shell says what became of its `sleep`.
    let log = done.log("stubborn");
    assert!(
        log.starts_with("ready\n") && log.contains("ignored\n"),
        "{log}"
    );
    let end = done
        .events()
        .into_iter()
        .find(|event| event["type"] == "step_finished");
    assert_eq!(
        end.map(|event| event["cause"]["kind"].clone()),
        Some("timeout".into())
    );
}

fn a_second_ctrl_c_does_not_wait(env: &TestEnvironment) {
    env.write("config.yml", "grace: 1h\n");
    env.pipeline(STUBBORN);
    let mut running = env.agent(["run-local"]).spawn();
    running.wait_for("ready");
    running.interrupt();
    running.wait_for("ignored");
    running.interrupt();
    let _ = running.finish().expect(130).says("run: cancelled");
}

fn a_step_may_clean_up_when_it_is_stopped(env: &TestEnvironment) {
    env.pipeline(
        "image: host\nsteps:\n  - name: tidy\n    run: |\n      trap 'echo tidied; exit 7' TERM\n      echo ready\n      while :; do sleep 0.05; done\n",
    );
    let mut running = env.agent(["run-local"]).spawn();
    running.wait_for("ready");
    running.signal(Signal::TERM);
    let _ = running.finish().expect(130).says("tidied");
}

fn a_reader_that_goes_away_stops_the_run(env: &TestEnvironment) {
    env.pipeline("image: host\nsteps: [{ run: \"yes\" }]\n");
    let mut running = env.agent(["run-local"]).spawn();
    running.wait_for("y\n");
    running.close_output();
    assert_eq!(running.finish().code(), 130);
}
