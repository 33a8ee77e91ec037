//! Timeouts, Ctrl-C and the agent's own death: everything ends, and a user is told.

use harness::{TestEnvironment, for_everyone, for_one_user};
use rustix::process::Signal;

use crate::support::run_local;

for_everyone!(
    ctrl_c_ends_the_run_with_a_summary,
    nothing_survives_the_agents_death,
    ctrl_c_on_a_terminal_reaches_a_step_once_and_as_sigterm,
);

for_one_user!(
    a_step_that_ignores_sigterm_is_killed_after_the_grace_period,
    a_second_ctrl_c_does_not_wait,
    a_step_may_clean_up_when_it_is_stopped,
    a_reader_that_goes_away_stops_the_run,
);

/// Its `sleep` hears of the signal, too, and its shell ends at the first failure that nothing stands behind.
const STUBBORN: &str = "image: host\nsteps:\n  - name: stubborn\n    run: |\n      trap 'echo ignored' TERM INT HUP\n      echo ready\n      while :; do sleep 0.1 || :; done\n  - run: echo never\n";

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

/// The terminal tells its whole foreground group; what steps hear of it is for the agent to decide. Perl counts every
/// signal, a shell one of several that come together.
fn ctrl_c_on_a_terminal_reaches_a_step_once_and_as_sigterm(env: &TestEnvironment) {
    env.pipeline(
        "image: host\nsteps:\n  - name: counting\n    shell: [perl]\n    run: |\n      \
         $| = 1; my ($terms, $others) = (0, 0);\n      $SIG{TERM} = sub { $terms++ };\n      \
         $SIG{$_} = sub { $others++ } for qw(INT HUP QUIT);\n      print \"ready\\n\";\n      \
         select(undef, undef, undef, 0.05) until $terms + $others;\n      \
         # Time for whatever else may come.\n      select(undef, undef, undef, 0.05) for 1 .. 6;\n      \
         print \"$terms TERM, $others others\\n\";\n",
    );
    let mut running = env.agent(["run-local"]).on_terminal().spawn();
    running.wait_for("ready");
    running.press_ctrl_c();
    let done = running.finish().expect(130).says("cancelled");
    assert!(done.screen().contains("\n1 TERM, 0 others\n"), "{done}");
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
    let end = end.expect("the step's end is told");
    assert_eq!(end["cause"]["kind"], "timeout");
    // Who would have counted what it used was killed with it: nothing is told rather than nothing used.
    assert_eq!(end.get("usage"), None, "{end}");
    let line = run_local(env, &[]).expect(1).snapshot();
    let line = line.lines().find(|line| line.starts_with("main  stubborn"));
    assert_eq!(line, Some("main  stubborn  failed  [TIME]"));
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
