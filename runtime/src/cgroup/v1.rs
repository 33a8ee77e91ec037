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

/// What to write to hold a container to its limits, in this order.
pub(super) fn settings(resources: &Resources) -> Vec<Setting> {
    let mut settings = Vec::new();
    if let Some(millis) = resources.cpus {
        let quota = (millis.saturating_mul(PERIOD) / 1000).max(LEAST_QUOTA);
        settings.extend([
            Setting::new(Controller::Cpu, "cpu.cfs_period_us", PERIOD),
            Setting::new(Controller::Cpu, "cpu.cfs_quota_us", quota),
        ]);
    }
    if let Some(bytes) = resources.memory {
        settings.extend([
            Setting::new(Controller::Memory, "memory.limit_in_bytes", bytes),
            // Memory and swap together, where the kernel counts swap: nothing is swapped out to get around the limit.
            Setting::new(Controller::Memory, "memory.memsw.limit_in_bytes", bytes).optional(),
        ]);
    }
    if let Some(count) = resources.pids {
        let most = count.saturating_add(OF_OURS);
        settings.push(Setting::new(Controller::Pids, "pids.max", most));
    }
    settings
}

/// What to write before another container comes into a group: no limit, where there was one, and no peak.
pub(super) fn renewal(limited: bool) -> Vec<Setting> {
    let mut settings = Vec::new();
    if limited {
        settings.extend([
            Setting::new(Controller::Cpu, "cpu.cfs_quota_us", -1),
            Setting::new(Controller::Memory, "memory.memsw.limit_in_bytes", -1).optional(),
            Setting::new(Controller::Memory, "memory.limit_in_bytes", -1),
            Setting::new(Controller::Pids, "pids.max", "max"),
        ]);
    }
    settings.push(Setting::new(
        Controller::Memory,
        "memory.max_usage_in_bytes",
        0,
    ));
    settings
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
