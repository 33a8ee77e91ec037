//! A container's processes, as the machine sees them (proc(5)).

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Load;

/// The process a descriptor refers to, by its id in our PID namespace (pidfd_open(2), "fdinfo").
///
/// # Errors
/// `NotFound` when it has ended.
pub(crate) fn id_of(process: &OwnedFd) -> io::Result<u32> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", process.as_raw_fd()))?;
    let id = text
        .lines()
        .find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
    // -1 of a process that has ended.
    id.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// What all processes in the PID namespace of `init` use together, `init` itself not counted as one. A process that comes or
/// goes meanwhile may be missed.
///
/// # Errors
/// When there is no such process any more, or `/proc` cannot be listed.
pub(super) fn load(init: &OwnedFd) -> io::Result<Load> {
    let mut all = Load {
        cpu: Duration::ZERO,
        memory: 0,
        pids: 0,
        read: Some(0),
        written: Some(0),
    };
    for path in members(id_of(init)?)? {
        if let Some(one) = of_process(&path) {
            all.cpu += one.cpu;
            all.memory += one.memory;
            all.pids += one.pids;
            all.read = all.read.zip(one.read).map(|(sum, more)| sum + more);
            all.written = all.written.zip(one.written).map(|(sum, more)| sum + more);
        }
    }
    all.pids = all.pids.saturating_sub(1);
    Ok(all)
}

/// Memory of all processes in the PID namespace of `init` together, in bytes, swapped pages among them, and without `init`
/// itself. Up to `enough`, pages count as often as they are mapped; what may be more counts each process's share of them.
///
/// # Errors
/// As [`load`].
pub(super) fn memory(init: &OwnedFd, enough: u64) -> io::Result<u64> {
    let init = id_of(init)?;
    let mut members = members(init)?;
    members.retain(|path| !path.ends_with(init.to_string()));
    let sum = |one: &dyn Fn(&Path) -> u64| members.iter().map(|path| one(path)).sum();
    let mapped: u64 = sum(&|path| keys(&path.join("status"), &["VmRSS:", "VmSwap:"]).unwrap_or(0));
    if mapped <= enough {
        return Ok(mapped);
    }
    Ok(sum(&|path| {
        let share = keys(&path.join("smaps_rollup"), &["Pss:", "SwapPss:"]);
        // Without the right to know, all it sees.
        share
            .or_else(|| keys(&path.join("status"), &["VmRSS:", "VmSwap:"]))
            .unwrap_or(0)
    }))
}

/// The directories of all processes in the PID namespace of one.
fn members(of: u32) -> io::Result<Vec<PathBuf>> {
    let proc = Path::new("/proc");
    let own = fs::read_link(proc.join(of.to_string()).join("ns/pid"))?;
    let mut all = Vec::new();
    for entry in fs::read_dir(proc)? {
        let path = entry?.path();
        // What is no process has none; what is not ours does not say.
        if fs::read_link(path.join("ns/pid")).is_ok_and(|namespace| namespace == own) {
            all.push(path);
        }
    }
    Ok(all)
}

/// The sum of lines such as `VmRSS:  1234 kB`, in bytes; `None` where the file cannot be read or has none of them.
fn keys(file: &Path, keys: &[&str]) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let of = |key: &&str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
        rest.split_whitespace().next()?.parse::<u64>().ok()
    };
    let found: Vec<_> = keys.iter().filter_map(of).collect();
    let sum = found.iter().copied().fold(0, u64::saturating_add);
    (!found.is_empty()).then(|| sum.saturating_mul(1024))
}

/// One process, with the time and the transfers of the children it has waited for.
fn of_process(path: &Path) -> Option<Load> {
    let stat = fs::read_to_string(path.join("stat")).ok()?;
    // The second field is in parentheses, and may hold any character.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    // Numbered from 1 in proc_pid_stat(5); the first of these is the third.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks: u64 = [14, 15, 16, 17]
        .iter()
        .filter_map(|field| number(*field))
        .sum();
    let second = rustix::param::clock_ticks_per_second().max(1);
    let read = |file: &str, key: &str| {
        let text = fs::read_to_string(path.join(file)).ok()?;
        text.lines().find_map(|line| {
            line.strip_prefix(key)?
                .split_whitespace()
                .next()?
                .parse::<u64>()
                .ok()
        })
    };
    // Its share of what it has in common with others; without the right to know, all it sees.
    let memory = read("smaps_rollup", "Pss:").or_else(|| read("status", "VmRSS:"));
    Some(Load {
        cpu: Duration::from_millis(ticks.saturating_mul(1000) / second),
        memory: memory.unwrap_or(0).saturating_mul(1024),
        pids: number(20).unwrap_or(1),
        read: read("io", "read_bytes:"),
        written: read("io", "write_bytes:"),
    })
}

#[cfg(test)]
mod tests {
    use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

    use super::*;

    #[test]
    fn this_namespace_has_this_process_in_it() {
        let own = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
        assert_eq!(id_of(&own).unwrap(), std::process::id());
        let all = load(&own).unwrap();
        let one = of_process(Path::new("/proc/self")).unwrap();
        assert!(
            all.memory >= 1 << 20 && one.memory >= 1 << 20,
            "{all:?} {one:?}"
        );
        assert!(one.pids >= 1 && all.pids >= one.pids - 1, "{all:?} {one:?}");
    }

    #[test]
    fn shares_are_asked_for_where_pages_might_be_too_many() {
        let mut other = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let id = i32::try_from(other.id()).ok().and_then(Pid::from_raw);
        let init = pidfd_open(id.unwrap(), PidfdFlags::empty()).unwrap();
        // This process is one of those beside it.
        let found = [u64::MAX, 0].map(|enough| memory(&init, enough).unwrap());
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(found.iter().all(|bytes| *bytes >= 1 << 20), "{found:?}");
        assert!(memory(&init, 0).is_err());
        let status = Path::new("/proc/self/status");
        assert_eq!(keys(status, &["NoSuchKey:"]), None);
        assert!(keys(status, &["VmRSS:", "NoSuchKey:"]) > Some(1 << 20));
    }
}
