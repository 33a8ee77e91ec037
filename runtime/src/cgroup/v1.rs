//! Version 1: Documentation/admin-guide/cgroup-v1.

use super::group::{Setting, Values};
use super::{Controller, Reading};
use crate::container::Resources;

/// Microseconds over which CPU time is shared out.
const PERIOD: u64 = 100_000;
/// The kernel's least quota, microseconds.
const LEAST_QUOTA: u64 = 1_000;
/// In a group beside the command: the container's first process, and for a moment the helper that cloned it.
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
    Reading {
        user_us: nanoseconds("cpuacct.usage_user").map(|ns| ns / 1000),
        system_us: nanoseconds("cpuacct.usage_sys").map(|ns| ns / 1000),
        peak_memory: values.number(Controller::Memory, "memory.max_usage_in_bytes"),
        // Linux 6.11.
        peak_pids: values
            .number(Controller::Pids, "pids.peak")
            .map(|peak| peak.saturating_sub(1)),
        read_bytes: operation(values, "Read"),
        written_bytes: operation(values, "Write"),
        oom_kills: values
            .field(Controller::Memory, "memory.oom_control", "oom_kill")
            .unwrap_or(0),
        refused_forks: values
            .field(Controller::Pids, "pids.events", "max")
            .unwrap_or(0),
    }
}

/// `8:0 Read 4096`, a line a device and an operation.
fn operation(values: &Values<'_>, name: &str) -> Option<u64> {
    let text = values.text(Controller::Io, "blkio.throttle.io_service_bytes")?;
    let of_device = |line: &str| {
        let mut words = line.split(' ').skip(1);
        (words.next()? == name).then(|| words.next()?.parse::<u64>().ok())?
    };
    Some(text.lines().filter_map(of_device).sum())
}
