//! Privileges that a step must not have or gain.

use harness::{TestEnvironment, for_everyone, for_root, for_users_with_ranges};

use super::Attack;

for_everyone!(
    the_network_cannot_be_changed_and_packets_cannot_be_forged,
    init_cannot_be_traced_stopped_or_robbed,
);
for_users_with_ranges!(executing_a_program_adds_no_privilege);
for_root!(
    nothing_of_the_callers_capabilities_is_inherited,
    the_machines_files_are_those_of_nobody,
);

fn the_network_cannot_be_changed_and_packets_cannot_be_forged(env: &TestEnvironment) {
    for name in ["raw_socket", "interface_down"] {
        Attack::of(name)
            .with(&["--network", "none"])
            .is_stopped_by(env, &["Capabilities"]);
    }
}

fn init_cannot_be_traced_stopped_or_robbed(env: &TestEnvironment) {
    for name in ["ptrace_init", "mem_of_init"] {
        let attack = Attack::of(name).once_init_has_settled();
        attack.is_stopped_by(env, &["Undumpable", "LandlockDomain"]);
        for one in ["Undumpable", "LandlockDomain"] {
            attack.is_stopped_without(env, &[one]);
        }
    }
    let all = ["Undumpable", "LandlockDomain", "Seccomp"];
    let attack = Attack::of("pidfd_getfd").once_init_has_settled();
    attack.is_stopped_by(env, &all);
    for one in 0..all.len() {
        let mut others = all.to_vec();
        let _ = others.remove(one);
        attack.is_stopped_without(env, &others);
    }
    // The kernel spares the first process of a PID namespace the signals it has no handler for.
    let script =
        "for signal in STOP KILL SEGV TERM; do kill -$signal 1; done; grep State /proc/1/status";
    let done = Attack::by(script).run(env).expect(0).says("State:");
    let _ = done.does_not_say("(stopped)").does_not_say("(zombie)");
}

/// As systemd's `AmbientCapabilities=` would have it.
fn nothing_of_the_callers_capabilities_is_inherited(env: &TestEnvironment) {
    let attack = Attack::by("grep -E '^Cap(Inh|Amb)' /proc/self/status");
    let with_capabilities = ["setpriv", "--inh-caps=+net_raw", "--ambient-caps=+net_raw"];
    let agent = attack.agent(env).executed_by(with_capabilities);
    let _ = agent
        .run()
        .expect(0)
        .says("CapInh:\t0000000000000000")
        .says("CapAmb:\t0000000000000000");
}

/// A program of root's with the set-user-id bit: one in the image's own layers or the container's, one in the workspace.
fn executing_a_program_adds_no_privilege(env: &TestEnvironment) {
    let in_root = Attack::of("set-user-id /tmp/privileged");
    // The kernel does not take a filter or a domain from whoever could still gain privileges.
    let unfiltered = ["NoNewPrivileges", "Seccomp", "LandlockDomain"];
    in_root.is_stopped_by(env, &unfiltered);
    let in_workspace = Attack::of("set-user-id /workspace/privileged");
    in_workspace.is_stopped_without(env, &unfiltered);
    in_workspace.is_stopped_by(
        env,
        &[
            "NoNewPrivileges",
            "Seccomp",
            "LandlockDomain",
            "NoSetUserId",
        ],
    );
}

/// A file below `/usr` that only this machine's root may read.
fn the_machines_files_are_those_of_nobody(env: &TestEnvironment) {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::Builder::new()
        .prefix("slipway-test-")
        .tempdir_in("/usr/local/share")
        .expect("make a directory below /usr");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).expect("open the directory");
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "breached: root's own\n").expect("write a secret");
    let closed = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&secret, closed).expect("close the secret");
    Attack::by(format!("cat {}", secret.display()))
        .in_image("host")
        .is_stopped_by(env, &["HostFilesOfNobody"]);
}
