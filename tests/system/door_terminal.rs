//! `agent run -it`: a terminal of the container's own, on the terminal of whoever called.

use harness::{Running, TestEnvironment, for_everyone, for_one_user, images};
use rustix::process::Signal;

for_everyone!(
    a_terminal_has_the_callers_size_and_follows_it,
    keys_are_for_the_container,
    a_terminal_belongs_to_the_commands_user,
);

for_one_user!(the_callers_terminal_is_put_back, keys_need_a_terminal,);

fn shell(env: &TestEnvironment) -> Running {
    let mut running = env
        .agent(["run", "-it", "--rm", "-e", "PS1=prompt ", "host", "sh"])
        .on_terminal()
        .spawn();
    running.wait_for("prompt ");
    running
}

fn a_terminal_has_the_callers_size_and_follows_it(env: &TestEnvironment) {
    let mut running = shell(env);
    running.press("stty size; tty; echo $TERM\r");
    running.wait_for("60 120\r\n/dev/pts/0\r\nxterm-256color\r\n");
    // A shell looks at its traps when it gets a line; this hears of the signal at once.
    running.press(
        "exec perl -e '$| = 1; $SIG{WINCH} = sub { print \"resized to \", `stty size`; exit 5 }; print \"waits \", 1, \"\\n\"; sleep 1 while 1'\r",
    );
    running.wait_for("waits 1\r\n");
    running.resize(33, 77);
    running.wait_for("resized to 33 77\r\n");
    let _ = running.finish().expect(5);
}

fn keys_are_for_the_container(env: &TestEnvironment) {
    let mut running = shell(env);
    // The program says itself that it is in the foreground.
    running.press("sh -c 'echo started; exec sleep 1001'\r");
    running.wait_for("started\r\n");
    running.press_ctrl_c();
    // A shell that is interrupted throws away what was typed before it asks again.
    running.wait_for("^C\r\nprompt ");
    running.press("echo code $?\r");
    running.wait_for("code 130\r\n");
    running.press("sh -c 'echo again; exec sleep 1002'\r");
    running.wait_for("again\r\n");
    running.press("\x1a");
    running.wait_for("Stopped");
    running.press("kill -9 %1; wait; jobs; echo nothing $((1))\r");
    running.wait_for("nothing 1\r\n");
    running.press("cat > /tmp/typed\r");
    running.press("one line\r\x04");
    running.press("cat /tmp/typed; echo to the console > /dev/console; exit\r");
    running.wait_for("one line\r\nto the console\r\n");
    let _ = running.finish().expect(0);
}

fn a_terminal_belongs_to_the_commands_user(env: &TestEnvironment) {
    let image = images::plain();
    let script =
        "test -t 0 && test -t 1 && test -t 2 && echo open > $(tty) && echo x > /dev/tty && id -u";
    let words = ["run", "-t", "-u", "1234:99", &image, "sh", "-c", script];
    let done = env.agent(words).run().expect(0);
    assert_eq!(done.output(), "open\r\nx\r\n1234\r\n");
}

fn the_callers_terminal_is_put_back(env: &TestEnvironment) {
    for signal in [None, Some(Signal::TERM), Some(Signal::HUP)] {
        let mut running = shell(env);
        assert!(!running.terminal_is_cooked(), "the terminal is not raw");
        match signal {
            // An interactive shell ignores SIGTERM: somebody loses patience.
            Some(signal) => (0..3).for_each(|_| {
                running.signal(signal);
                running.press("\r");
            }),
            None => running.press("exit\r"),
        }
        if signal == Some(Signal::TERM) {
            running.press("exit\r");
        }
        running.wait_for_end();
        assert!(running.terminal_is_cooked(), "left raw after {signal:?}");
        let _ = running.finish();
    }
}

fn keys_need_a_terminal(env: &TestEnvironment) {
    let refused = env.agent(["run", "-it", "host", "sh"]).run().expect(125);
    insta::assert_snapshot!(refused.errors(), @r"
    error: standard input is no terminal, so that no keys can be passed on
    help: leave out -t
    ");
}
