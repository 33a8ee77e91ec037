//! What somebody sees who watches: colours, and a live line below the output that leaves nothing behind.

use harness::{Agent, Finished, Running, TestEnvironment, for_one_user};

for_one_user!(
    the_status_line_follows_the_run_and_leaves_nothing_behind,
    a_line_that_is_not_finished_is_left_alone,
    only_a_terminal_that_somebody_watches_gets_a_status_line,
    colours_are_for_terminals_that_want_them,
);

/// To the first column, and erase the line: what goes before whatever replaces a status line (ECMA-48: CR, EL 2).
const ERASED: &str = "\r\x1b[2K";

/// Its first step goes on when [`go_on`] makes a file.
const WAITING: &str = "image: host\njobs:\n  build:\n    steps:\n      - name: slow\n        run: |\n          echo first\n          \
    until [ -e go ]; do sleep 0.02; done\n          echo second\n  \
    test:\n    needs: [build]\n    steps: [{ name: quick, run: echo third }]\n";

/// Longer than output has to pause for a status line, twice over.
const PAUSING: &str =
    "image: host\nsteps: [{ name: pause, run: \"echo before; sleep 0.5; echo after\" }]\n";

fn waiting(env: &TestEnvironment) -> Agent<'_> {
    env.pipeline(WAITING);
    // In place: what the test writes, the step sees.
    env.agent(["run-local", "--in-place"])
}

fn go_on(env: &TestEnvironment, running: Running) -> Finished {
    env.write("project/go", "");
    running.finish().expect(0)
}

fn the_status_line_follows_the_run_and_leaves_nothing_behind(env: &TestEnvironment) {
    let mut running = waiting(env).on_terminal().spawn();
    running.wait_for("first");
    let screen = running.wait_for_last_line(|line| line.starts_with("[0/2 jobs]"));
    insta::assert_snapshot!(screen, @r"
    run [RUN]
    workspace: the working tree itself; steps can change it
    network: private; steps reach what this machine reaches, but not this machine
    ==> build / slow (host)
    first
    [0/2 jobs] build / slow [TIME]
    ");
    let done = go_on(env, running);
    insta::assert_snapshot!(done.screen(), @r"
    run [RUN]
    workspace: the working tree itself; steps can change it
    network: private; steps reach what this machine reaches, but not this machine
    ==> build / slow (host)
    first
    second
    <== build / slow: ok ([TIME])
    ==> test / quick (host)
    third
    <== test / quick: ok ([TIME])

    JOB  STEP  RESULT  TIME  CPU  MEMORY  I/O  PIDS
    build  slow  ok  [TIME]  [TIME]  [SIZE]  [IO]  [PIDS]
    test  quick  ok  [TIME]  [TIME]  [SIZE]  [IO]  [PIDS]

    run: ok ([TIME])
    ");
    assert!(done.output().contains(ERASED), "{done}");
}

fn a_line_that_is_not_finished_is_left_alone(env: &TestEnvironment) {
    env.pipeline(
        "image: host\nsteps: [{ name: bar, run: \"printf 10%%; sleep 0.5; printf '\\\\r100%%\\\\n'; sleep 0.5\" }]\n",
    );
    let done = env.agent(["run-local"]).on_terminal().run().expect(0);
    let output = done.output();
    // A progress bar is drawn over itself, and only when its line has ended comes the status line.
    assert!(output.contains("10%\r100%\r\nmain / bar"), "{output:?}");
}

fn only_a_terminal_that_somebody_watches_gets_a_status_line(env: &TestEnvironment) {
    env.pipeline(PAUSING);
    let agent = || env.agent(["run-local"]);
    let watched = agent().on_terminal().run().expect(0);
    assert!(watched.output().contains(ERASED), "{watched}");
    for (why, agent) in [
        ("a pipe", agent()),
        (
            "a pipe, whatever TERM says",
            agent().variable("TERM", "xterm"),
        ),
        (
            "a dumb terminal",
            agent().on_terminal().variable("TERM", "dumb"),
        ),
        (
            "another CI system",
            agent().on_terminal().variable("CI", "true"),
        ),
    ] {
        let done = agent.run().expect(0);
        assert!(!done.output().contains(ERASED), "{why}: {done}");
        let lines = done.output().replace("\r\n", "\n");
        assert!(lines.contains("before\nafter\n"), "{why}: {done}");
    }
}

fn colours_are_for_terminals_that_want_them(env: &TestEnvironment) {
    env.pipeline(PAUSING);
    let agent = || env.agent(["run-local"]);
    let (green, heading) = ("\x1b[32m", "\x1b[1;36m");
    let coloured = agent().on_terminal().run().expect(0);
    let _ = coloured.says(green).says(heading);
    for (why, agent) in [
        ("a pipe", agent()),
        ("NO_COLOR", agent().on_terminal().variable("NO_COLOR", "1")),
        (
            "a dumb terminal",
            agent().on_terminal().variable("TERM", "dumb"),
        ),
    ] {
        let done = agent.run().expect(0);
        let output = done.output();
        assert!(
            !output.contains(green) && !output.contains(heading),
            "{why}: {output:?}"
        );
        // Colours are not what the status line is about.
        assert_eq!(
            output.contains(ERASED),
            why == "NO_COLOR",
            "{why}: {output:?}"
        );
    }
}
