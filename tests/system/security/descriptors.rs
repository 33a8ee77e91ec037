//! What leads out of a container without a path: descriptors, and the links of `/proc` to them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use harness::{Agent, TestEnvironment, Who, for_everyone};

use super::Attack;
use super::attack::breached;

for_everyone!(
    a_descriptor_that_the_agent_was_left_is_not_passed_on,
    a_working_directory_is_not_reached_through_a_descriptor,
    init_shows_neither_its_descriptors_nor_its_program,
    the_agents_program_cannot_be_changed,
);

/// An agent whose parent has forgotten to close the directory of the test.
fn with_a_leak<'e>(env: &TestEnvironment, agent: Agent<'e>) -> Agent<'e> {
    let script = format!("exec 9<{}; exec \"$@\"", env.root().display());
    agent.executed_by(["sh", "-c", &script, "sh"])
}

/// CVE-2024-21626, and the first half of CVE-2016-9962.
fn a_descriptor_that_the_agent_was_left_is_not_passed_on(env: &TestEnvironment) {
    let attack = Attack::by("test -e /proc/self/fd/9/project && echo breached; echo looked");
    let run = |dropped: &[&str]| with_a_leak(env, attack.agent(env).weakened(dropped)).run();
    assert!(!breached(&run(&[]).expect(0).says("looked")));
    assert!(breached(&run(&["ClosedDescriptors"])));
}

/// CVE-2024-21626: `WORKDIR /proc/self/fd/7`.
fn a_working_directory_is_not_reached_through_a_descriptor(env: &TestEnvironment) {
    let attack = Attack::by("test -e project && echo breached");
    let run = |dropped: &[&str]| {
        let agent = attack.agent(env).weakened(dropped);
        let pipeline = env.read("project/.pipeline.yml");
        let workdir = pipeline.replace("user: ", "workdir: /proc/self/fd/9, user: ");
        env.pipeline(&workdir);
        with_a_leak(env, agent).run()
    };
    let _ = run(&[])
        .expect(1)
        .says("the working directory /proc/self/fd/9 cannot be entered");
    for one in ["ClosedDescriptors", "MagicLinks"] {
        let _ = run(&[one]).expect(1).says("cannot be entered");
    }
    assert!(breached(&run(&["ClosedDescriptors", "MagicLinks"])));
}

fn init_shows_neither_its_descriptors_nor_its_program(env: &TestEnvironment) {
    let both = ["Undumpable", "LandlockDomain"];
    for what in [
        "readlink /proc/1/fd/0",
        "readlink /proc/1/exe",
        "ls /proc/1/root/",
        "ls /proc/1/cwd/",
    ] {
        let attack = Attack::by(format!("{what} && echo breached")).once_init_has_settled();
        attack.is_stopped_by(env, &both);
        for one in both {
            attack.is_stopped_without(env, &[one]);
        }
    }
    // Should it ever be looked into: its standard streams are nobody's terminal, and no descriptor leads to a file of the
    // machine.
    let script = "for fd in /proc/1/fd/*; do case $(readlink $fd || echo none) in \
        none|/dev/null|anon_inode:*|socket:*|pipe:*|/memfd:*|/run/slipway/*) ;; \
        *) echo breached by $fd: $(readlink $fd);; esac; done; echo looked";
    let attack = Attack::by(script).once_init_has_settled();
    attack.is_stopped_without(env, &both);
    attack.is_stopped_by(env, &["Undumpable", "LandlockDomain", "ClosedDescriptors"]);
}

/// CVE-2019-5736. What runs a container is on the machine's disk, and whoever may change it runs on the machine next.
fn the_agents_program_cannot_be_changed(env: &TestEnvironment) {
    let attack = Attack::by("chmod 0777 /proc/1/exe || (: > /proc/1/exe)").once_init_has_settled();
    let changed = |_: &harness::Finished| {
        let program = env.root().join("agent-weakened");
        let mode =
            || fs::metadata(&program).map_or(0o755, |meta| meta.permissions().mode() & 0o777);
        let was = mode();
        if program.exists() {
            let _ = fs::set_permissions(&program, fs::Permissions::from_mode(0o755));
        }
        was == 0o777
    };
    let all = ["Undumpable", "LandlockDomain", "ReadOnlyProgram"];
    if env.who() == Who::Root {
        // Container root is not the program's owner either.
        attack.is_stopped_without_if(env, &all, changed);
        return;
    }
    attack.is_stopped_by_if(env, &all, changed);
    attack.is_stopped_without_if(env, &all[..2], changed);
    attack.is_stopped_without_if(env, &all[2..], changed);
}
