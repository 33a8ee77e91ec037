//! How control groups are laid out and whether this user may make any (cgroups(7)).

use std::path::Path;

use rustix::fs::{Access, access};

use super::{Check, Machine};

const NAME: &str = "cgroups";

/// The three layouts machines have.
#[derive(Debug, PartialEq, Eq)]
enum Layout {
    /// One tree, every controller in it.
    Unified(String),
    /// Version 1 controllers beside a version 2 tree without any.
    Hybrid,
    /// Version 1 only.
    Legacy,
    /// Nothing is mounted.
    None,
}

pub(super) fn check(machine: &Machine<'_>) -> Check {
    match layout(machine) {
        Layout::Unified(own) => {
            let path = machine
                .root
                .join("sys/fs/cgroup")
                .join(own.trim_start_matches('/'));
            let controllers = machine
                .read(&format!("sys/fs/cgroup{own}/cgroup.controllers"))
                .unwrap_or_default();
            if writable(&path) {
                Check::found(NAME, format!("v2, delegated with: {controllers}"))
            } else {
                Check::limited(
                    NAME,
                    "v2, not delegated to you: limits of a step are not enforced",
                    "run under `systemd-run --user --scope -p Delegate=yes`",
                )
            }
        }
        Layout::Hybrid => version_1(machine, "hybrid (v1 controllers, v2 tree without any)"),
        Layout::Legacy => version_1(machine, "v1"),
        Layout::None => Check::limited(
            NAME,
            "not mounted: limits of a step are not enforced",
            "mount -t cgroup2 none /sys/fs/cgroup",
        ),
    }
}

fn version_1(machine: &Machine<'_>, layout: &str) -> Check {
    if writable(&machine.root.join("sys/fs/cgroup/memory")) {
        Check::found(NAME, format!("{layout}, writable"))
    } else {
        Check::limited(
            NAME,
            format!("{layout}, not writable: limits of a step are not enforced"),
            "boot with systemd.unified_cgroup_hierarchy=1",
        )
    }
}

fn layout(machine: &Machine<'_>) -> Layout {
    let memberships = machine.read("proc/self/cgroup").unwrap_or_default();
    let unified = memberships
        .lines()
        .find_map(|line| line.strip_prefix("0::"));
    let legacy = memberships
        .lines()
        .any(|line| !line.starts_with("0::") && line.contains(':'));
    match (unified, legacy) {
        (Some(own), false) => Layout::Unified(own.to_owned()),
        (Some(_), true) => Layout::Hybrid,
        (None, true) => Layout::Legacy,
        (None, false) => Layout::None,
    }
}

fn writable(path: &Path) -> bool {
    access(path, Access::WRITE_OK).is_ok()
}
