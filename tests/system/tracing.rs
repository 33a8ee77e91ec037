//! Programs that look for a debugger by asking to be traced (ptrace(2), `PTRACE_TRACEME`), which makes the container's init
//! their tracer: they stop for it, and have to find that nobody holds them.

use harness::{TestEnvironment, for_everyone};
use serde_json::Value;

use crate::support::run_local;

for_everyone!(
    a_step_that_asks_to_be_traced_ends_as_it_would_have,
    an_orphan_that_asks_to_be_traced_does_not_hold_its_step,
);

/// What Perl needs to ask. The kernel refuses it where the step has privileges that init has laid down by then, or a user
/// namespace of its own; the step goes on either way.
fn trace_me() -> String {
    let number = if cfg!(target_arch = "aarch64") {
        117
    } else {
        101
    };
    format!("syscall({number}, 0, 0, 0, 0);")
}

/// Every user a step may have: init's own, and another.
const USERS: [&str; 2] = ["root", "1000"];

fn a_step_that_asks_to_be_traced_ends_as_it_would_have(env: &TestEnvironment) {
    for user in USERS {
        for (then, conclusion, cause) in [
            ("exit 0", "success", ""),
            ("exit 7", "failure", r#"{"code":7,"kind":"exit"}"#),
            // Each of these stops a traced process first.
            ("exec '/bin/true'", "success", ""),
            (
                "exec '/bin/false'",
                "failure",
                r#"{"code":1,"kind":"exit"}"#,
            ),
            (
                "kill USR1 => $$",
                "failure",
                r#"{"kind":"signal","signal":10}"#,
            ),
            (
                "kill TERM => $$; sleep 60",
                "failure",
                r#"{"kind":"signal","signal":15}"#,
            ),
            (
                "kill KILL => $$",
                "failure",
                r#"{"kind":"signal","signal":9}"#,
            ),
            // A signal that is handled, and one that is ignored.
            (
                "local $SIG{TERM} = sub { exit 3 }; kill TERM => $$; sleep 60",
                "failure",
                r#"{"code":3,"kind":"exit"}"#,
            ),
            (
                "local $SIG{HUP} = 'IGNORE'; kill HUP => $$; exit 0",
                "success",
                "",
            ),
        ] {
            let (end, _) = run(env, user, then);
            let cause_of_end = end.get("cause").map(Value::to_string).unwrap_or_default();
            assert_eq!(
                (end["conclusion"].as_str(), cause_of_end.as_str()),
                (Some(conclusion), cause),
                "{then}, as {user}: {end}"
            );
        }
    }
}

fn an_orphan_that_asks_to_be_traced_does_not_hold_its_step(env: &TestEnvironment) {
    for user in USERS {
        // Its parent is gone, and init has taken it in, before it asks. Then it stops for its exec, and for its signal.
        for then in [
            "exec 'sleep', '1000'",
            "kill TERM => $$; sleep 1000",
            "kill STOP => $$",
        ] {
            let ask = trace_me();
            let script = format!(
                "pipe(my $asked, my $asking);\n\
                 unless (fork) {{\n  exit 0 if fork;\n  select(undef, undef, undef, 0.01) until getppid == 1;\n  {ask}\n  close $asking;\n  {then};\n}}\n\
                 close $asking; wait; <$asked>; print \"on\\n\"; exit 0;"
            );
            let (end, log) = run_perl(env, user, &script);
            assert_eq!(end["conclusion"], "success", "{then}, as {user}: {end}");
            assert_eq!(log, "on\n", "{then}, as {user}");
        }
    }
}

/// How the step ended, and what it printed.
fn run(env: &TestEnvironment, user: &str, then: &str) -> (Value, String) {
    run_perl(env, user, &format!("{}\n{then};", trace_me()))
}

fn run_perl(env: &TestEnvironment, user: &str, script: &str) -> (Value, String) {
    let script = serde_json::to_string(script).unwrap_or_default();
    // Perl is the container's command, so that its parent is init and not a shell.
    env.pipeline(&format!(
        "image: host\nsteps:\n  - {{ name: step, user: \"{user}\", timeout: 20s, shell: [perl], run: {script} }}\n"
    ));
    let done = run_local(env, &["--json"]);
    let events = done.events();
    let end = events
        .iter()
        .find(|event| event["type"] == "step_finished")
        .unwrap_or_else(|| panic!("the step did not end: {done}"));
    (end.clone(), done.log("step"))
}
