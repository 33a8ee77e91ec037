use super::*;
use crate::userns::{Extent, Rung};

/// A machine made of these files.
fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

fn ask(files: &[(&str, &str)], check: fn(&Machine<'_>) -> Check) -> (State, String) {
    let directory = machine(files);
    let answer = check(&Machine {
        root: directory.path(),
    });
    assert_eq!(answer.fix.is_none(), answer.state == State::Found);
    (answer.state, answer.found)
}

#[test]
fn a_kernel_is_judged_by_what_the_runtime_uses_of_it() {
    let of = |release: &str| ask(&[("proc/sys/kernel/osrelease", release)], kernel::check).0;
    assert_eq!(of("5.10.0-30-amd64\n"), State::Missing);
    assert_eq!(of("6.1.0-40-amd64\n"), State::Limited);
    assert_eq!(of("6.18.44\n"), State::Found);
    assert_eq!(of("10.0-rc1\n"), State::Found);
}

#[test]
fn every_switch_that_forbids_user_namespaces_is_named_with_its_fix() {
    let allowed = ("proc/sys/user/max_user_namespaces", "15000\n");
    assert_eq!(ask(&[allowed], namespaces::limit).0, State::Found);
    assert_eq!(
        ask(
            &[("proc/sys/user/max_user_namespaces", "0\n")],
            namespaces::limit
        ),
        (
            State::Missing,
            "switched off by user.max_user_namespaces = 0".to_owned()
        )
    );
    assert_eq!(
        ask(
            &[
                allowed,
                ("proc/sys/kernel/unprivileged_userns_clone", "0\n")
            ],
            namespaces::limit
        ),
        (
            State::Missing,
            "switched off by kernel.unprivileged_userns_clone".to_owned()
        )
    );
    assert_eq!(ask(&[], namespaces::limit).0, State::Missing);
    let ubuntu = (
        "proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1\n",
    );
    assert_eq!(ask(&[ubuntu], namespaces::apparmor).0, State::Missing);
    assert_eq!(ask(&[], namespaces::apparmor).0, State::Found);
}

#[test]
fn how_limits_are_held_follows_from_what_is_mounted_and_ours() {
    let me = std::process::id().to_string();
    let mounted = (
        "proc/self/mountinfo",
        "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    );
    let own = ("proc/self/cgroup", "0::/a.scope\n");
    let group = |processes| {
        [
            mounted,
            own,
            (
                "sys/fs/cgroup/a.scope/cgroup.controllers",
                "cpu io memory pids\n",
            ),
            ("sys/fs/cgroup/a.scope/cgroup.procs", processes),
            ("sys/fs/cgroup/a.scope/cgroup.type", "domain\n"),
            ("sys/fs/cgroup/cgroup.type", "domain\n"),
        ]
    };
    assert_eq!(
        ask(&group(&me), cgroup::check),
        (
            State::Found,
            "cgroup v2: cpu io memory pids; cpus by cgroup, memory by cgroup, pids by cgroup, disk by tmpfs, \
             nofile by rlimit"
                .to_owned()
        )
    );
    let (state, found) = ask(&group("1\n"), cgroup::check);
    assert_eq!(state, State::Limited);
    assert!(found.contains("other processes are in "), "{found}");
    assert!(found.contains("cpus not held, memory watched, "), "{found}");
    let gone = [mounted, ("proc/self/cgroup", "0::/gone\n")];
    let (state, found) = ask(&gone, cgroup::check);
    assert_eq!(state, State::Limited);
    assert!(found.starts_with("no control group is delegated to you; "));
    let hybrid = [
        (
            "proc/self/mountinfo",
            "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        ),
        ("proc/self/cgroup", "4:memory:/\n0::/\n"),
        ("sys/fs/cgroup/memory/tasks", ""),
    ];
    let (state, found) = ask(&hybrid, cgroup::check);
    assert_eq!(state, State::Limited);
    assert!(found.starts_with("cgroup v1: memory; cpus not held, memory by cgroup, "));
    let (_, found) = ask(&[], cgroup::check);
    assert!(found.starts_with("no control groups are mounted; "));
}

#[test]
fn ids_say_who_container_root_is() {
    let map = |rung, outside, count| IdMap {
        rung,
        users: vec![Extent {
            inside: 0,
            outside,
            count,
        }],
        groups: Vec::new(),
    };
    assert_eq!(
        ids::check(&map(Rung::Root, 1_879_048_192, 65_536)).found,
        "65536, container root is user 1879048192 of this machine"
    );
    assert_eq!(
        ids::check(&map(Rung::Single, 1000, 1)).state,
        State::Limited
    );
}
