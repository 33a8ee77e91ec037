//! The kernel's own files: what they tell, and what can be changed by them.

use harness::{TestEnvironment, for_everyone, for_plain_users};

use super::Attack;

for_everyone!(
    files_that_tell_too_much_are_covered,
    files_that_concern_the_machine_are_read_only,
    terminals_of_the_machine_are_not_seen,
);
for_plain_users!(nothing_is_mounted_over_the_kernels_files);

fn files_that_tell_too_much_are_covered(env: &TestEnvironment) {
    for path in ["/proc/interrupts", "/sys/firmware"] {
        let script = format!(
            "test -n \"$(ls -A {path}/ 2>/dev/null || head -c 1 {path})\" && echo breached"
        );
        let attack = Attack::by(script);
        if std::path::Path::new(path).exists() {
            attack.is_stopped_by(env, &["Masks"]);
        } else {
            attack.is_stopped_without(env, &["Masks"]);
        }
    }
}

fn files_that_concern_the_machine_are_read_only(env: &TestEnvironment) {
    // A limit of the IPC namespace, which is its owner's to set.
    Attack::by("echo 1 > /proc/sys/kernel/msgmax && echo breached")
        .is_stopped_by(env, &["ReadOnlyPaths"]);
    // Settings of the network namespace: its owner's, with a capability that a step lacks, too.
    for path in ["/proc/sys/net/ipv4/ip_forward", "/sys/class/net/lo/mtu"] {
        let attack =
            Attack::by(format!("echo 1400 > {path} && echo breached")).with(&["--network", "none"]);
        attack.is_stopped_by(env, &["ReadOnlyPaths", "Capabilities"]);
        for one in ["ReadOnlyPaths", "Capabilities"] {
            attack.is_stopped_without(env, &[one]);
        }
    }
    // These the kernel leaves to the machine's root, who is in no container.
    for path in [
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/fs/binfmt_misc/register",
        "/sys/kernel/uevent_helper",
    ] {
        Attack::by(format!("(echo h > {path}) && echo breached"))
            .is_stopped_without(env, &["ReadOnlyPaths", "Capabilities", "Seccomp"]);
    }
}

fn terminals_of_the_machine_are_not_seen(env: &TestEnvironment) {
    let attack = Attack::by("ls /dev/pts | grep -q '^[0-9]' && echo breached");
    // On a terminal, of which the machine has one then.
    let run = |dropped: &[&str]| attack.agent(env).weakened(dropped).on_terminal().run();
    assert!(!run(&[]).screen().contains("breached\n"));
    assert!(run(&["OwnTerminals"]).says("breached").code() == 0);
}

/// With it the masks would be gone. (For root's agent the kernel refuses to show it with other ids.)
fn nothing_is_mounted_over_the_kernels_files(env: &TestEnvironment) {
    env.write("config.yml", "host: { paths: [/proc] }\n");
    let attack =
        Attack::by("test -n \"$(head -c 1 /proc/interrupts)\" && echo breached").in_image("host");
    attack.is_stopped_by(env, &["MountTargets"]);
    let _ = attack
        .run(env)
        .expect(1)
        .says("nothing can be mounted on /proc: `/proc` and `/sys` are the kernel's");
}
