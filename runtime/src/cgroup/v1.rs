//! Version 1: Documentation/admin-guide/cgroup-v1.

use super::group::{Setting, Values};
use super::{Controller, Reading};
use crate::container::Resources;

/// Microseconds over which CPU time is shared out.
const PERIOD: u64 = 100_000;
/// The kernel's least quota, microseconds.
const LEAST_QUOTA: u64 = 1_000;
/// In a group beside the command and what it starts: the container's first process, and the helper that cloned it.
const OF_OURS: u64 = 2;

/// What to write to hold a container to its limits, in this order, in a group that holds to others.
pub(super) fn change(from: &Resources, to: &Resources) -> Vec<Setting> {
    let mut settings = Vec::new();
    if from.cpus != to.cpus {
        let quota = match to.cpus {
            Some(millis) => {
                settings.push(Setting::new(Controller::Cpu, "cpu.cfs_period_us", PERIOD));
                let quota = (millis.saturating_mul(PERIOD) / 1000).max(LEAST_QUOTA);
                quota.to_string()
            }
            None => "-1".to_owned(),
        };
        settings.push(Setting::new(Controller::Cpu, "cpu.cfs_quota_us", quota));
    }
    if from.memory != to.memory {
        // Memory and swap together, where the kernel counts swap: nothing is swapped out to get around the limit. It
        // is never less than that of memory alone.
        let both = |bytes| {
            Setting::new(Controller::Memory, "memory.memsw.limit_in_bytes", bytes).optional()
        };
        let bytes = to.memory.map_or("-1".to_owned(), |bytes| bytes.to_string());
        settings.extend(from.memory.map(|_| both("-1".to_owned())));
        settings.push(Setting::new(
            Controller::Memory,
            "memory.limit_in_bytes",
            &bytes,
        ));
        settings.extend(to.memory.map(|_| both(bytes)));
    }
    if from.pids != to.pids {
        let most = match to.pids {
            Some(count) => count.saturating_add(OF_OURS).to_string(),
            None => "max".to_owned(),
        };
        settings.push(Setting::new(Controller::Pids, "pids.max", most));
    }
    settings
}

/// What to write to have the peak of memory forgotten.
pub(super) fn renewal() -> Vec<Setting> {
    vec![Setting::new(
        Controller::Memory,
        "memory.max_usage_in_bytes",
        0,
    )]
}

/// What a group has used.
pub(super) fn read(values: &Values<'_>) -> Reading {
    let nanoseconds = |file| values.number(Controller::Cpuacct, file);
    let moved = values.text(Controller::Io, "blkio.throttle.io_service_bytes");
    let bytes = |operation| moved.as_deref().map(|text| bytes(text, operation));
    Reading {
        user_us: nanoseconds("cpuacct.usage_user").map(|ns| ns / 1000),
        system_us: nanoseconds("cpuacct.usage_sys").map(|ns| ns / 1000),
        peak_memory: values.number(Controller::Memory, "memory.max_usage_in_bytes"),
        // Linux 6.11.
        peak_pids: values
            .number(Controller::Pids, "pids.peak")
            .map(|peak| peak.saturating_sub(OF_OURS)),
        read_bytes: bytes("Read"),
        written_bytes: bytes("Write"),
        oom_kills: values
            .field(Controller::Memory, "memory.oom_control", "oom_kill")
            .unwrap_or(0),
        refused_forks: values
            .field(Controller::Pids, "pids.events", "max")
            .unwrap_or(0),
    }
}

/// What a group has in memory, bytes, without files that could be dropped at once; and its processes and threads.
pub(super) fn now(values: &Values<'_>) -> Option<(u64, u64)> {
    let all = values.number(Controller::Memory, "memory.usage_in_bytes")?;
    let files = values.field(Controller::Memory, "memory.stat", "total_inactive_file");
    let pids = values.number(Controller::Pids, "pids.current")?;
    Some((
        all.saturating_sub(files.unwrap_or(0)),
        pids.saturating_sub(OF_OURS),
    ))
}

/// The bytes of one operation in lines of the shape `8:0 Read 4096`, one a device and operation.
fn bytes(text: &str, operation: &str) -> u64 {
    let of_device = |line: &str| {
        let mut words = line.split(' ').skip(1);
        (words.next()? == operation).then(|| words.next()?.parse::<u64>().ok())?
    };
    text.lines().filter_map(of_device).sum()
}
