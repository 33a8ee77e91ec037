//! System calls that a step must not make.

use harness::{TestEnvironment, for_everyone};

use super::Attack;

for_everyone!(
    the_filter_stops_what_the_kernel_would_do,
    the_filter_and_the_capabilities_both_stop_mounts,
    nobody_types_into_a_terminal,
    another_architecture_does_not_get_past_the_filter,
    the_caller_s_keys_stay_the_callers,
);

/// Each of these the kernel does for anybody.
fn the_filter_stops_what_the_kernel_would_do(env: &TestEnvironment) {
    for name in [
        "io_uring",
        "userfaultfd",
        "keyctl",
        "add_key",
        "AF_VSOCK",
        "unshare_user",
        "clone_user",
        "clone_high_bits",
        "clone3_user",
        "personality",
    ] {
        Attack::of(name).is_stopped_by(env, &["Seccomp"]);
    }
    let answers =
        Attack::of("io_uring AF_VSOCK AF_ALG clone_user clone_high_bits clone3_user").run(env);
    let _ = answers
        .expect(0)
        .says("io_uring: EPERM")
        .says("AF_VSOCK: EPERM")
        .says("AF_ALG: EPERM")
        .says("clone_user: EPERM")
        .says("clone_high_bits: EPERM")
        .says("clone3_user: ENOSYS");
}

/// What needs a capability is refused twice: without the filter the kernel says no, without the limit on capabilities the
/// filter does.
fn the_filter_and_the_capabilities_both_stop_mounts(env: &TestEnvironment) {
    for name in [
        "mount",
        "umount",
        "remount",
        "fsopen",
        "unshare_mount",
        "sethostname",
    ] {
        let attack = Attack::of(name);
        attack.is_stopped_by(env, &["Seccomp", "Capabilities"]);
        attack.is_stopped_without(env, &["Seccomp"]);
        attack.is_stopped_without(env, &["Capabilities"]);
    }
    // These are refused by the kernel itself to whoever is not the machine's root.
    for name in ["mknod", "syslog", "open_by_handle"] {
        Attack::of(name).is_stopped_without(env, &["Seccomp", "Capabilities"]);
    }
}

fn nobody_types_into_a_terminal(env: &TestEnvironment) {
    let sysctl = std::fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").unwrap_or_default();
    for name in ["TIOCSTI", "TIOCSTI_high_bits"] {
        let attack = Attack::of(name);
        if sysctl.trim() == "0" {
            // Some distributions have switched it off in the kernel.
            attack.is_stopped_without(env, &["Seccomp"]);
        } else {
            attack.is_stopped_by(env, &["Seccomp"]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn another_architecture_does_not_get_past_the_filter(env: &TestEnvironment) {
    Attack::of("i386").is_stopped_by(env, &["Seccomp"]);
}

/// Where there is no other architecture, there is nothing to get past.
#[cfg(not(target_arch = "x86_64"))]
fn another_architecture_does_not_get_past_the_filter(env: &TestEnvironment) {
    Attack::of("i386").is_stopped_without(env, &["Seccomp"]);
}

/// The filter refuses `keyctl`, and there is nothing of the caller's to be found with it.
fn the_caller_s_keys_stay_the_callers(env: &TestEnvironment) {
    let attack = Attack::of("caller-key");
    let with_key = |dropped: &[&str]| {
        let agent = attack.agent(env).weakened(dropped);
        let keeper = env.project().join("attack");
        agent
            .executed_by([keeper.as_os_str(), "with-key".as_ref()])
            .run()
    };
    for dropped in [&["Seccomp"][..], &["SessionKeyring"]] {
        let _ = with_key(dropped).does_not_say("breached");
    }
    let _ = with_key(&["Seccomp", "SessionKeyring"]).says("breached caller-key");
}
