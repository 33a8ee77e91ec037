//! `nesting: true`: containers inside a step's container, without any privilege.

use harness::{Agent, TestEnvironment, for_everyone, for_users_with_ranges};

for_everyone!(
    a_step_runs_the_agent_itself,
    without_nesting_there_are_no_containers_inside,
    the_step_itself_gains_nothing_by_nesting,
);
for_users_with_ranges!(a_step_builds_an_image_with_buildah_and_runs_it_with_podman);

/// A pipeline with one step that may nest, as far as `nesting` says.
fn pipeline(nesting: bool, script: &str) -> String {
    let script = serde_json::to_string(script).unwrap_or_default();
    format!("image: host\nsteps:\n  - {{ name: step, nesting: {nesting}, run: {script} }}\n")
}

/// The agent itself runs a pipeline of two steps, one of them without a network, whose tree is a directory of the workspace.
/// Its data is in memory: the container's own root is an overlay, which the kernel does not take as another one's upper layer.
fn nested(env: &TestEnvironment) -> Agent<'_> {
    env.copy_program(&env.root().join("agent"), "project/agent");
    env.write(
        "project/inner/.pipeline.yml",
        "image: host\nsteps:\n  - run: echo inner $(id -u) > left; ls -d /proc/[0-9]* | wc -l\n  - { run: 'cat left; ls /sys/class/net; head -c 1 /proc/interrupts', network: none }\n",
    );
    env.agent(["run-local"])
}

const INNER: &str = "cd inner; SLIPWAY_DATA=/dev/shm/data HOME=/root /workspace/agent run-local";

fn a_step_runs_the_agent_itself(env: &TestEnvironment) {
    let agent = nested(env);
    env.pipeline(&pipeline(true, INNER));
    let done = agent.run().expect(0).says("inner 0");
    let lines = done.output();
    assert!(
        lines
            .lines()
            .filter(|line| line.contains("run: ok"))
            .count()
            >= 2,
        "{done}"
    );
    env.assert_nothing_left();
}

fn without_nesting_there_are_no_containers_inside(env: &TestEnvironment) {
    let agent = nested(env);
    env.pipeline(&pipeline(false, INNER));
    let _ = agent
        .run()
        .expect(1)
        .says("this host cannot run containers");
}

/// What nesting brings is good for namespaces of its own: the container's are as closed as ever.
fn the_step_itself_gains_nothing_by_nesting(env: &TestEnvironment) {
    let script = "grep -E '^(Cap(Eff|Bnd)|NoNewPrivs|Seccomp):' /proc/self/status
        mount -t tmpfs none /mnt 2>&1 && echo MOUNTED
        umount /proc/interrupts 2>&1 && echo UNCOVERED
        mount -o remount,rw /proc/sys 2>&1 && echo WRITABLE
        unshare -U -r -m sh -c 'umount /proc/interrupts 2>&1 && echo UNCOVERED; mount -o remount,bind,rw /proc/sys 2>&1 && echo WRITABLE; true'
        head -c 1 /proc/interrupts
        (echo 1 > /run/slipway/nesting/proc/sysrq-trigger) 2>&1 && echo WRITTEN
        echo looked";
    env.pipeline(&pipeline(true, script));
    let done = env.agent(["run-local", "--json"]).run().expect(0);
    let log = done.log("step");
    for word in ["MOUNTED", "UNCOVERED", "WRITABLE", "WRITTEN"] {
        assert!(!log.lines().any(|line| line.starts_with(word)), "{log}");
    }
    for line in [
        "CapEff:\t00000000800405fb",
        "CapBnd:\t00000000800405fb",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "looked",
    ] {
        assert!(
            log.lines().any(|other| other == line),
            "no `{line}` in {log}"
        );
    }
}

/// On storage in memory, with networks of the container's. (Debian's crun does not take cgroups of both versions.)
fn a_step_builds_an_image_with_buildah_and_runs_it_with_podman(env: &TestEnvironment) {
    env.write(
        "project/Containerfile",
        "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"touch\", \"/made\"]\n",
    );
    let script = "export HOME=/dev/shm/home XDG_RUNTIME_DIR=/dev/shm/run
        mkdir -p $HOME $XDG_RUNTIME_DIR
        cp /bin/busybox .
        storage='--storage-driver vfs --root /dev/shm/storage --runroot /dev/shm/runroot'
        buildah $storage bud --isolation chroot -q -t localhost/made .
        podman $storage --cgroup-manager cgroupfs run --rm --cgroups disabled --network host localhost/made \
            /bin/busybox sh -c '/bin/busybox ls -l /made; echo podman ran as $(/bin/busybox id -u)'";
    env.pipeline(&pipeline(true, script));
    let plain_cgroups = "umount /sys/fs/cgroup/unified 2>/dev/null || true";
    let mut agent = env.agent(["run-local"]);
    if env.is_set_up_by_root() {
        agent = agent.after(plain_cgroups);
    }
    let _ = agent.run().expect(0).says("podman ran as 0");
}
