//! A disk that is full or cannot be written: named, and nobody else's work is lost by it.

use harness::{TestEnvironment, for_root, images};

use crate::support::{clean, output_of, single_step};

for_root!(
    a_full_disk_is_named,
    a_full_disk_under_the_agents_own_output_is_named,
    a_read_only_file_system_is_named,
);

fn a_full_disk_is_named(env: &TestEnvironment) {
    let data = env.data();
    let mount = |size: &str| {
        format!(
            "mkdir -p {0} && mount -t tmpfs -o size={size} tmpfs {0}",
            data.display()
        )
    };
    // Too small for the image's layer.
    env.pipeline(&single_step(&images::busybox(), "echo ran"));
    let done = clean(env.agent(["run-local"]).after(&mount("600k")).run());
    let _ = done
        .expect(70)
        .says("No space left")
        .does_not_say("\nran\n");
    // Large enough to start, too small for what the step writes to its log.
    env.pipeline(&single_step(
        "host",
        "head -c 20000000 /dev/zero | tr '\\0' x; echo ran",
    ));
    let done = clean(
        env.agent(["run-local", "--quiet"])
            .after(&mount("4m"))
            .run(),
    );
    let _ = done.expect(70).says("No space left");
    // What is too much for the workspace is the step's own to notice, and to mend.
    let script = "head -c 20000000 /dev/zero 2>/dev/null >big || { rm big; echo no room; exit 3; }";
    env.pipeline(&single_step("host", script));
    let done = clean(env.agent(["run-local"]).after(&mount("4m")).run());
    let _ = done.expect(1).says("\nno room\n").says("exit status 3");
    // The test's own mounts went with the agent; it works again.
    assert_eq!(output_of(env, "host", "echo fine"), "fine\n");
}

fn a_full_disk_under_the_agents_own_output_is_named(env: &TestEnvironment) {
    env.pipeline(&single_step("host", "echo ran; sleep 1000"));
    for options in [&[][..], &["--json"]] {
        // What `agent run-local > log` is on a disk that is full. (A reader that goes away is no fault: see `stopping`.)
        let done = clean(
            env.agent(["run-local"].iter().chain(options))
                .after("exec >/dev/full")
                .run(),
        );
        let _ = done
            .expect(70)
            .says("failed to write to standard output: No space left on device");
    }
}

fn a_read_only_file_system_is_named(env: &TestEnvironment) {
    env.pipeline(&single_step("host", "echo ran"));
    let data = env.data().display().to_string();
    let mount = format!("mkdir -p {data} && mount -t tmpfs -o ro tmpfs {data}");
    let _ = clean(env.agent(["run-local"]).after(&mount).run())
        .expect(70)
        .says(&data)
        .says("Read-only file system")
        .does_not_say("\nran\n");
    let doctor = env.agent(["doctor"]).after(&mount).run();
    let _ = clean(doctor).says(&data).says("SLIPWAY_DATA");
    // A working tree that cannot be written is no obstacle: what steps write is kept aside.
    let tree = format!(
        "mount --bind {0} {0} && mount -o remount,bind,ro {0}",
        env.project().display()
    );
    let done = env.agent(["run-local"]).after(&tree).run();
    let _ = clean(done).expect(0).says("\nran\n");
}
