use std::path::Path;

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
fn the_cgroup_layout_is_read_from_the_memberships() {
    let unified = [
        ("proc/self/cgroup", "0::/user.slice/a.scope\n"),
        (
            "sys/fs/cgroup/user.slice/a.scope/cgroup.controllers",
            "cpu memory pids\n",
        ),
    ];
    assert_eq!(
        ask(&unified, cgroup::check),
        (
            State::Found,
            "v2, delegated with: cpu memory pids".to_owned()
        )
    );
    let lost = [("proc/self/cgroup", "0::/gone\n")];
    assert_eq!(ask(&lost, cgroup::check).0, State::Limited);
    let hybrid = [
        ("proc/self/cgroup", "4:memory:/\n0::/\n"),
        ("sys/fs/cgroup/memory/tasks", ""),
    ];
    assert_eq!(
        ask(&hybrid, cgroup::check),
        (
            State::Found,
            "hybrid (v1 controllers, v2 tree without any), writable".to_owned()
        )
    );
    let legacy = [("proc/self/cgroup", "4:memory:/\n")];
    assert_eq!(ask(&legacy, cgroup::check).0, State::Limited);
    assert_eq!(ask(&[], cgroup::check).0, State::Limited);
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

#[test]
fn a_missing_tun_device_limits_and_says_how_to_get_it() {
    let directory = machine(&[("dev/net/tun", "a file is no device")]);
    let machine = Machine {
        root: Path::new(directory.path()),
    };
    let [check] = devices::check(&machine).try_into().unwrap();
    assert_eq!(check.state, State::Limited);
    assert_eq!(check.fix.as_deref(), Some("sudo modprobe tun"));
}
