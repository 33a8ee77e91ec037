//! Version 2: Documentation/admin-guide/cgroup-v2.rst.

use super::group::{Setting, Values};
use super::{Controller, Reading};
use crate::container::Resources;

/// Microseconds over which CPU time is shared out.
const PERIOD: u64 = 100_000;
/// The kernel's least quota, microseconds.
const LEAST_QUOTA: u64 = 1_000;
/// In a group beside the command: the container's first process.
const OF_OURS: u64 = 1;

/// What to write to hold a container to its limits.
pub(super) fn settings(resources: &Resources) -> Vec<Setting> {
    let mut settings = Vec::new();
    if let Some(millis) = resources.cpus {
        let quota = (millis.saturating_mul(PERIOD) / 1000).max(LEAST_QUOTA);
        let both = format!("{quota} {PERIOD}");
        settings.push(Setting::new(Controller::Cpu, "cpu.max", both));
    }
    if let Some(bytes) = resources.memory {
        settings.extend([
            Setting::new(Controller::Memory, "memory.max", bytes),
            // Nothing is swapped out to get around the limit.
            Setting::new(Controller::Memory, "memory.swap.max", 0).optional(),
            // Half a container is of no use to anybody (Linux 4.19).
            Setting::new(Controller::Memory, "memory.oom.group", 1).optional(),
        ]);
    }
    if let Some(count) = resources.pids {
        let most = count.saturating_add(OF_OURS);
        settings.push(Setting::new(Controller::Pids, "pids.max", most));
    }
    settings
}

/// What a group has used. CPU time is counted without any controller.
pub(super) fn read(values: &Values<'_>) -> Reading {
    Reading {
        user_us: values.own_field("cpu.stat", "user_usec"),
        system_us: values.own_field("cpu.stat", "system_usec"),
        // Linux 5.19.
        peak_memory: values.number(Controller::Memory, "memory.peak"),
        // Linux 6.1.
        peak_pids: values
            .number(Controller::Pids, "pids.peak")
            .map(|peak| peak.saturating_sub(OF_OURS)),
        read_bytes: bytes(values, "rbytes="),
        written_bytes: bytes(values, "wbytes="),
        oom_kills: values
            .field(Controller::Memory, "memory.events", "oom_kill")
            .unwrap_or(0),
        refused_forks: values
            .field(Controller::Pids, "pids.events", "max")
            .unwrap_or(0),
    }
}

/// What a group has in memory, bytes, without files that could be dropped at once; and its processes and threads.
pub(super) fn now(values: &Values<'_>) -> Option<(u64, u64)> {
    let all = values.number(Controller::Memory, "memory.current")?;
    let files = values.field(Controller::Memory, "memory.stat", "inactive_file");
    let pids = values.number(Controller::Pids, "pids.current")?;
    Some((
        all.saturating_sub(files.unwrap_or(0)),
        pids.saturating_sub(OF_OURS),
    ))
}

/// `8:0 rbytes=4096 wbytes=0 ..`, a line a device.
fn bytes(values: &Values<'_>, key: &str) -> Option<u64> {
    let text = values.text(Controller::Io, "io.stat")?;
    let numbers = text.split_whitespace().filter_map(|word| {
        let number = word.strip_prefix(key)?;
        number.parse::<u64>().ok()
    });
    Some(numbers.sum())
}
