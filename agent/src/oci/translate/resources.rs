use runtime::container::Resources;

use crate::oci::OciError;
use crate::oci::config::LinuxResources;

/// Microseconds of a period that is not said (Documentation/admin-guide/cgroup-v2.rst, `cpu.max`).
const PERIOD: u64 = 100_000;

/// What the container may use.
pub(super) fn of(resources: &LinuxResources) -> Result<Resources, OciError> {
    let limited = |value: Option<i64>| {
        value
            .and_then(|value| u64::try_from(value).ok())
            .filter(|value| *value > 0)
    };
    let memory = limited(resources.memory.limit);
    let swap = limited(resources.memory.swap);
    if swap.is_some() && swap != memory {
        return Err(OciError::field(
            "linux.resources.memory.swap",
            "a container with a limit gets no swap: it can only be the limit itself",
        ));
    }
    let cpus = limited(resources.cpu.quota).map(|quota| {
        let period = resources.cpu.period.unwrap_or(PERIOD).max(1);
        quota.saturating_mul(1000).div_ceil(period)
    });
    if cpus.is_none() && resources.cpu.period.is_some_and(|period| period != PERIOD) {
        return Err(OciError::field(
            "linux.resources.cpu.period",
            "without a quota it means nothing",
        ));
    }
    Ok(Resources {
        cpus,
        memory,
        pids: limited(resources.pids.limit),
        disk: None,
        nofile: None,
    })
}
