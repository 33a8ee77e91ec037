//! A container's processes, as the machine sees them (proc(5)).

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
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
    let proc = Path::new("/proc");
    let own = fs::read_link(proc.join(id_of(init)?.to_string()).join("ns/pid"))?;
    let mut all = Load {
        cpu: Duration::ZERO,
        memory: 0,
        pids: 0,
        read: Some(0),
        written: Some(0),
    };
    for entry in fs::read_dir(proc)? {
        let path = entry?.path();
        // What is no process has none; what is not ours does not say.
        if fs::read_link(path.join("ns/pid")).is_ok_and(|namespace| namespace == own)
            && let Some(one) = of_process(&path)
        {
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
    use rustix::process::{PidfdFlags, getpid, pidfd_open};

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
}
