//! Whether this user may make control groups, and so how a container's limits are held (cgroups(7)).

use super::{Check, Machine};
use crate::cgroup::{Denied, Layout, Site};
use crate::container::{Enforcement, Means};

const NAME: &str = "limits";
/// For a machine with version 2 and systemd.
const DELEGATE: &str =
    "run it alone in a group of its own: systemd-run --user --scope -p Delegate=yes agent ..";

pub(super) fn check(machine: &Machine<'_>) -> Check {
    let site = Site::find(&Layout::read(machine.root));
    let held = held(&Enforcement::with(site.as_ref().ok()));
    match site {
        Ok(site) => {
            let found = format!("{}; {held}", describe(&site));
            if Enforcement::with(Some(&site)).is_complete() {
                Check::found(NAME, found)
            } else {
                Check::limited(NAME, found, "have the missing controllers delegated to you")
            }
        }
        Err(Denied::Occupied(group)) => Check::limited(
            NAME,
            format!(
                "cgroup v2, but other processes are in {}; {held}",
                group.display()
            ),
            DELEGATE,
        ),
        Err(Denied::NotDelegated) => Check::limited(
            NAME,
            format!("no control group is delegated to you; {held}"),
            DELEGATE,
        ),
        Err(Denied::NotMounted) => Check::limited(
            NAME,
            format!("no control groups are mounted; {held}"),
            "mount -t cgroup2 none /sys/fs/cgroup",
        ),
    }
}

/// `cgroup v2: cpu memory pids`.
fn describe(site: &Site) -> String {
    let list = |controllers: &mut dyn Iterator<Item = String>| {
        let names: Vec<_> = controllers.collect();
        if names.is_empty() {
            "no controllers".to_owned()
        } else {
            names.join(" ")
        }
    };
    match site {
        Site::One(trees) => {
            let controllers = trees.iter().flat_map(|(controllers, _)| controllers);
            let names = list(&mut controllers.map(ToString::to_string));
            format!("cgroup v1: {names}")
        }
        Site::Two { controllers, .. } => {
            let names = list(&mut controllers.iter().map(ToString::to_string));
            format!("cgroup v2: {names}")
        }
    }
}

/// How each limit is held, in the words of a pipeline.
fn held(enforcement: &Enforcement) -> String {
    let one = |name: &str, means: Means| {
        let by = match means {
            Means::ControlGroup => "by cgroup",
            Means::PidNamespace => "by PID namespace",
            Means::ProcessLimit => "by rlimit",
            Means::Watch => "watched",
            Means::Nothing => "not held",
        };
        format!("{name} {by}")
    };
    let Enforcement { cpus, memory, pids } = *enforcement;
    let all = [
        one("cpus", cpus),
        one("memory", memory),
        one("pids", pids),
        "disk by tmpfs".to_owned(),
        "nofile by rlimit".to_owned(),
    ];
    all.join(", ")
}
