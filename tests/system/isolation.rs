//! What a step is: its ids, namespaces, privileges and what it sees of the machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use harness::{TestEnvironment, Who, for_everyone, for_one_user, for_root, images};
use tempfile::TempDir;

use crate::support::{must, output_of, run_script, zygote_of};

for_everyone!(
    container_root_is_not_this_machines_root,
    a_step_has_namespaces_of_its_own,
    a_step_has_podmans_capabilities_and_no_new_privileges,
    a_step_inherits_no_descriptor,
    the_kernels_files_are_masked_or_read_only,
    devices_are_the_six_that_every_program_needs,
    mounts_and_namespaces_are_refused,
    a_step_may_be_another_user,
    what_the_machine_unmounts_is_not_held,
);

for_one_user!(
    without_a_network_there_is_only_loopback,
    this_machines_secrets_are_not_in_the_image,
    every_signal_has_its_default_disposition,
);

for_root!(the_machines_image_shows_what_everybody_may_read);

fn container_root_is_not_this_machines_root(env: &TestEnvironment) {
    let map = output_of(env, "host", "id -u; cat /proc/self/uid_map");
    let mut words = map.split_whitespace();
    assert_eq!(words.next(), Some("0"), "{map}");
    let ranges: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
    for range in ranges.chunks(3) {
        assert!(
            range[1] != 0,
            "an id of the container is this machine's root: {map}"
        );
    }
    let outside = match env.who() {
        Who::Root => 1_879_048_192,
        Who::Subordinate | Who::Solo => u64::from(env.uid()),
    };
    assert_eq!(
        ranges.first().zip(ranges.get(1)),
        Some((&0, &outside)),
        "{map}"
    );

    // A file that only this machine's root may read stays closed to it.
    if env.who() == Who::Root {
        let script = "cat /proc/1/root/etc/shadow /etc/shadow 2>&1 || true";
        assert!(
            !output_of(env, "host", script).contains("root:"),
            "/etc/shadow can be read"
        );
    }
}

fn a_step_has_namespaces_of_its_own(env: &TestEnvironment) {
    let kinds = ["user", "mnt", "pid", "uts", "ipc", "cgroup"];
    let script = format!(
        "for kind in {}; do readlink /proc/self/ns/$kind; done; echo $$; hostname",
        kinds.join(" ")
    );
    let log = output_of(env, &images::plain(), &script);
    for kind in kinds {
        let ours = fs::read_link(format!("/proc/self/ns/{kind}")).expect("read a namespace");
        assert!(
            !log.contains(&*ours.to_string_lossy()),
            "{kind} is this machine's: {log}"
        );
    }
    let processes = output_of(env, &images::plain(), "ls -d /proc/[0-9]* | wc -l");
    assert!(
        processes.trim().parse::<u32>().is_ok_and(|count| count < 8),
        "{processes} processes are seen"
    );
}

fn a_step_has_podmans_capabilities_and_no_new_privileges(env: &TestEnvironment) {
    let log = output_of(
        env,
        &images::plain(),
        "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status",
    );
    // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP
    let eleven = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31]
        .map(|bit| 1_u64 << bit)
        .iter()
        .sum::<u64>();
    for (name, value) in [
        ("CapInh", 0),
        ("CapPrm", eleven),
        ("CapEff", eleven),
        ("CapBnd", eleven),
        ("CapAmb", 0),
    ] {
        assert!(
            log.contains(&format!("{name}:\t{value:016x}")),
            "{name} is not {value:016x} in {log}"
        );
    }
    let other = output_of(
        env,
        &images::busybox(),
        "id -u; grep -E '^Cap' /proc/self/status",
    );
    assert!(other.starts_with("1000\n"), "{other}");
    for (name, value) in [
        ("CapPrm", 0),
        ("CapEff", 0),
        ("CapBnd", eleven),
        ("CapAmb", 0),
    ] {
        assert!(
            other.contains(&format!("{name}:\t{value:016x}")),
            "another user's {name} is not {value:016x} in {other}"
        );
    }
    assert!(
        log.contains("NoNewPrivs:\t1") && log.contains("Seccomp:\t2"),
        "{log}"
    );
}

fn a_step_inherits_no_descriptor(env: &TestEnvironment) {
    // No shell, which opens descriptors of its own: `ls` lists its own, and the script it is handed as a file.
    env.pipeline(&format!(
        "image: \"{}\"\nsteps:\n  - {{ name: step, shell: [ls, -l, /proc/self/fd], run: none }}\n",
        images::plain()
    ));
    let log = env
        .agent(["run-local", "--json"])
        .run()
        .expect(0)
        .log("step");
    let open: Vec<(&str, &str)> = log
        .lines()
        .filter_map(|line| line.split_once(" -> "))
        .filter_map(|(entry, target)| Some((entry.rsplit(' ').next()?, target)))
        .filter(|(_, target)| !(target.starts_with("/proc/") && target.ends_with("/fd")))
        .collect();
    let numbers: Vec<&str> = open.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, ["0", "1", "2"], "{log}");
    assert_eq!(open[0].1, "/dev/null", "{log}");
}

fn the_kernels_files_are_masked_or_read_only(env: &TestEnvironment) {
    let script = r"
        for path in /proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/sched_debug \
            /proc/scsi /proc/timer_list /proc/timer_stats /sys/firmware /sys/devices/virtual/powercap; do
            [ -e $path ] || continue
            if [ -d $path ]; then [ -z $(ls -A $path) ] || echo $path is not empty
            else [ -z $(head -c 1 $path 2>/dev/null) ] || echo $path is readable; fi
        done
        for path in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity /sys/kernel/mm/transparent_hugepage/enabled; do
            [ -e $path ] || continue
            if (echo 1 > $path) 2>/dev/null; then echo $path is writable; fi
        done
        grep -q ' /sys sysfs ro' /proc/mounts || grep -q ' /sys .*ro,' /proc/mounts || echo /sys is not read-only
        touch /sys/x 2>/dev/null && echo /sys can be written
        echo looked";
    assert_eq!(output_of(env, &images::plain(), script), "looked\n");
}

fn devices_are_the_six_that_every_program_needs(env: &TestEnvironment) {
    let script = r"find /dev -type b -o -type c ! -path '/dev/pts/*' | sort | tr '\n' ' '; echo; echo x > /dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; ls /dev/pts/ptmx /dev/shm /dev/mqueue >/dev/null && readlink /dev/fd";
    assert_eq!(
        output_of(env, &images::plain(), script),
        "/dev/full /dev/null /dev/random /dev/tty /dev/urandom /dev/zero \n4\n4\n/proc/self/fd\n"
    );
}

fn mounts_and_namespaces_are_refused(env: &TestEnvironment) {
    let script = r"
        mount -t tmpfs none /tmp 2>&1 && echo MOUNTED
        unshare -U true 2>&1 && echo UNSHARED
        unshare -m true 2>&1 && echo UNSHARED
        umount /proc 2>&1 && echo UNMOUNTED
        chroot / true || echo chroot was taken away
        mknod /tmp/node c 1 5 2>&1 && echo MADE
        true";
    let log = output_of(env, &images::plain(), script);
    for word in ["MOUNTED", "UNSHARED", "UNMOUNTED", "MADE", "taken away"] {
        assert!(!log.lines().any(|line| line.contains(word)), "{log}");
    }
}

fn a_step_may_be_another_user(env: &TestEnvironment) {
    let image = images::busybox();
    env.pipeline(&format!(
        "image: \"{image}\"\nsteps:\n  - {{ name: image, run: \"id -u; id -g; echo $HOME\" }}\n  \
         - {{ name: root, user: root, run: \"id -u; id -g; echo $HOME\" }}\n  - {{ name: number, user: \"1234:99\", run: \"id -u; id -g\" }}\n"
    ));
    let done = env.agent(["run-local", "--json"]).run().expect(0);
    assert_eq!(done.log("image"), "1000\n1000\n/home/app\n");
    assert_eq!(done.log("root"), "0\n0\n/root\n");
    assert_eq!(done.log("number"), "1234\n99\n");
    let unknown =
        format!("image: \"{image}\"\nsteps:\n  - {{ name: step, user: nobody-here, run: id }}\n");
    env.pipeline(&unknown);
    let _ = env.agent(["run-local"]).run().expect(1).says("nobody-here");
}

fn without_a_network_there_is_only_loopback(env: &TestEnvironment) {
    let script = "ls /sys/class/net; cat /sys/class/net/lo/operstate; ping -c 1 -W 1 127.0.0.1 >/dev/null 2>&1 || nc -z 127.0.0.1 1 2>&1 | head -1; cut -d: -f1 /proc/net/dev | tail -n +3";
    let log = run_script(
        env,
        &images::plain(),
        script,
        &["--json", "--network", "none"],
    )
    .expect(0)
    .log("step");
    assert!(
        log.starts_with("lo\n") && log.trim_end().ends_with("lo") && !log.contains("eth"),
        "{log}"
    );
}

fn this_machines_secrets_are_not_in_the_image(env: &TestEnvironment) {
    let script = "for file in /etc/shadow /etc/gshadow /etc/machine-id /etc/ssh/sshd_config /etc/sudoers; do test ! -e $file || echo $file; done; cat /etc/passwd | head -c 5";
    assert_eq!(output_of(env, "host", script), "root:");
}

fn every_signal_has_its_default_disposition(env: &TestEnvironment) {
    let log = output_of(
        env,
        &images::plain(),
        "grep -E '^Sig(Ign|Blk)' /proc/self/status",
    );
    assert_eq!(
        log,
        "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
    );
}

fn what_the_machine_unmounts_is_not_held(env: &TestEnvironment) {
    if !env.is_set_up_by_root() {
        return;
    }
    env.write("disk/.keep", "");
    let disk = env.root().join("disk");
    // As systemd has it; unshare(1) has made everything private.
    let plug_in = format!(
        "mount --make-rshared / && mount -t tmpfs tmpfs {}",
        disk.display()
    );
    env.pipeline(
        "image: host\nsteps: [{ name: step, run: \"cat /proc/self/mountinfo; echo ready; until test -e /workspace/go; do sleep 0.05; done\" }]\n",
    );
    let agent = env.agent(["run-local", "--in-place"]).after(&plug_in);
    let mut running = agent.spawn();
    running.wait_for("ready\n");
    let id = running.id();
    let zygote = zygote_of(id);
    let sees = || {
        let table = fs::read_to_string(format!("/proc/{zygote}/mountinfo"));
        let table = table.expect("read the zygote's mounts");
        table.contains(&disk.display().to_string())
    };
    assert!(sees(), "the zygote never saw the disk");
    let _ = must(
        Command::new("nsenter")
            .args(["--mount", "--target", &id.to_string(), "umount"])
            .arg(&disk),
    );
    assert!(!sees(), "the zygote holds on to the disk");
    env.write("project/go", "");
    // Nothing that the machine mounts later comes into a container.
    let _ = running
        .finish()
        .expect(0)
        .does_not_say(" master:")
        .does_not_say(" shared:");
}

/// Removed when the test is over, whatever its end.
fn directory_for_all_programs() -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("slipway-test-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in("/usr/local/share")
        .expect("make a directory below /usr");
    for (name, mode) in [("secret", 0o600), ("public", 0o644)] {
        let path = directory.path().join(name);
        fs::write(&path, format!("{name} of the machine\n")).expect("write a file below /usr");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set a file's mode");
    }
    directory
}

/// Container root is nobody to the machine's own files, although the agent's user could read all of them.
fn the_machines_image_shows_what_everybody_may_read(env: &TestEnvironment) {
    let directory = directory_for_all_programs();
    let path = directory.path().display();
    let script = format!("cat {path}/public; cat {path}/secret 2>&1 || stat -c %a {path}/secret");
    for user in ["root", "1000"] {
        env.pipeline(&format!(
            "image: host\nsteps: [{{ name: step, user: \"{user}\", run: \"{script}\" }}]\n"
        ));
        let done = env.agent(["run-local", "--json"]).run().expect(0);
        assert_eq!(
            done.log("step"),
            format!("public of the machine\ncat: {path}/secret: Permission denied\n600\n"),
            "as {user}"
        );
    }
    // What the machine's configuration names is meant to be seen whole.
    env.write("config.yml", format!("host: {{ paths: [{path}] }}\n"));
    assert_eq!(
        output_of(env, "host", &format!("cat {path}/secret")),
        "secret of the machine\n"
    );
}
