//! Machines that can run containers, and machines that cannot: what `agent doctor` says of them, and exit code 77.

use harness::{Finished, TestEnvironment, Who, for_everyone};

use crate::support::single_step;

for_everyone!(
    doctor_lists_what_there_is_and_how_to_get_the_rest,
    without_user_namespaces_nothing_runs_and_the_reason_is_told,
);

/// The machine's own switch, thrown inside a namespace (namespaces(7): `/proc/sys/user` is its user namespace's).
const SWITCHED_OFF: &str = "echo 0 > /proc/sys/user/max_user_namespaces";

/// A line of the doctor's: what, how well it serves, and the fix where one is named.
#[derive(Debug)]
struct Check {
    name: String,
    state: String,
    found: String,
    fix: Option<String>,
}

/// Reads the doctor's lines: columns are two spaces apart, a fix is on a line of its own.
fn checks(done: &Finished) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for line in done.output().lines() {
        if let Some(fix) = line.trim_start().strip_prefix("to get it: ") {
            let last = checks.last_mut();
            last.unwrap_or_else(|| panic!("a fix for nothing: {done}"))
                .fix = Some(fix.to_owned());
            continue;
        }
        let mut columns = line.splitn(2, "  ");
        let name = columns.next().unwrap_or_default().to_owned();
        let rest = columns.next().unwrap_or_default().trim_start();
        let (state, found) = rest.split_once(' ').unwrap_or((rest, ""));
        checks.push(Check {
            name,
            state: state.to_owned(),
            found: found.trim_start().to_owned(),
            fix: None,
        });
    }
    checks
}

#[track_caller]
fn check<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    let found = checks.iter().find(|check| check.name == name);
    found.unwrap_or_else(|| panic!("no line about {name}: {checks:#?}"))
}

fn doctor_lists_what_there_is_and_how_to_get_the_rest(env: &TestEnvironment) {
    let done = env.agent(["doctor"]).run().expect(0);
    assert_eq!(done.errors(), "", "{done}");
    let checks = checks(&done);
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "kernel",
            "user namespaces",
            "AppArmor",
            "container ids",
            "limits",
            "data directory",
            "container",
            "network"
        ],
        "{done}"
    );
    for check in &checks {
        // Nothing that is needed is missing where containers run, and whatever could be better has its fix.
        match check.state.as_str() {
            "found" => assert_eq!(check.fix, None, "{check:?}"),
            "limited" => assert!(check.fix.is_some(), "{check:?}"),
            other => panic!("{other}: {check:?}"),
        }
        assert_ne!(check.found, "", "{check:?}");
    }

    let ids = check(&checks, "container ids");
    let (state, found) = match env.who() {
        Who::Root => (
            "found",
            "65536, container root is user 1879048192 of this machine",
        ),
        Who::Subordinate => (
            "found",
            "from /etc/subuid and newuidmap, container root is you",
        ),
        Who::Solo => ("limited", "only your own, container root is you"),
    };
    assert!(ids.state == state && ids.found.contains(found), "{ids:?}");
    if env.who() == Who::Solo {
        let fix = ids.fix.as_deref().unwrap_or_default();
        assert!(fix.contains("--add-subuids"), "{ids:?}");
    }
    let limits = check(&checks, "limits");
    let held = match env.who() {
        Who::Root => "memory by cgroup",
        Who::Subordinate | Who::Solo => "memory watched",
    };
    assert!(limits.found.contains(held), "{limits:?}");
    let container = check(&checks, "container");
    assert!(
        container.found.starts_with("ran on an overlay"),
        "{container:?}"
    );
    let network = check(&checks, "network");
    assert!(network.found.starts_with("private, 10."), "{network:?}");
}

fn without_user_namespaces_nothing_runs_and_the_reason_is_told(env: &TestEnvironment) {
    env.pipeline(&single_step("host", "echo ran"));
    let reason = "switched off by user.max_user_namespaces = 0";
    let fix = "sudo sysctl user.max_user_namespaces=15000";
    let _ = env
        .agent(["run-local"])
        .in_a_user_namespace_after(SWITCHED_OFF)
        .run()
        .expect(77)
        .says("error: this host cannot run containers: make a user namespace: ")
        .says(&format!("help: user namespaces: {reason}; {fix}\n"))
        .says("help: `agent doctor` looks at everything containers need\n")
        .does_not_say("\nran\n");
    let done = env
        .agent(["doctor"])
        .in_a_user_namespace_after(SWITCHED_OFF)
        .run()
        .expect(77);
    let checks = checks(&done);
    let namespaces = check(&checks, "user namespaces");
    assert_eq!(
        (
            namespaces.state.as_str(),
            namespaces.found.as_str(),
            namespaces.fix.as_deref()
        ),
        ("missing", reason, Some(fix)),
        "{done}"
    );
    let container = check(&checks, "container");
    assert!(
        container.state == "missing" && container.fix.is_some(),
        "{done}"
    );

    // A pipeline that is wrong is told so all the same: the machine is not asked before.
    env.pipeline("image: host\nsteps: [{ rum: true }]\n");
    let _ = env
        .agent(["run-local"])
        .in_a_user_namespace_after(SWITCHED_OFF)
        .run()
        .expect(65);
}
