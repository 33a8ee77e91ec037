//! Files of the kernel that a container must not see, or must not write.
//!
//! A path that does not exist on this kernel is skipped. Whether a path is a directory is found out when it is
//! mounted over: a masked file gets `/dev/null`, a masked directory an empty read-only tmpfs, a read-only path a
//! read-only bind mount of itself.
//!
//! Source: `DefaultLinuxSpec` in moby's `daemon/pkg/oci/defaults.go`. Podman differs by a few paths.

use std::path::PathBuf;

use super::possible_cpus::CpuRanges;

/// Hidden. They show the machine's hardware, timing or keys, or lead to its firmware; a container needs none of them.
pub const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts", // timing of other users' keystrokes
    "/proc/kcore",      // all of the machine's memory
    "/proc/keys",       // names of keys that no namespace separates
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi", // can remove a disk from the machine (CVE-2017-16539)
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap", // power readings leak secrets (PLATYPUS, CVE-2020-8694)
    "/sys/firmware",
];

/// Visible, but not writable: what is written there concerns the machine.
///
/// `/proc/sys` being read-only costs a step nothing that the runtime has not set before it starts.
pub const READ_ONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger", // one letter reboots the machine
];

/// Hidden as well, one for each processor: its thermal throttling counters, which tell what the neighbours compute.
#[must_use]
pub fn thermal_throttle(cpus: &CpuRanges) -> Vec<PathBuf> {
    cpus.iter()
        .map(|cpu| PathBuf::from(format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle")))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use super::*;

    #[test]
    fn masks_are_plain_paths_below_proc_and_sys() {
        for path in MASKED.iter().chain(READ_ONLY) {
            let mut components = Path::new(path).components();
            assert_eq!(components.next(), Some(Component::RootDir), "{path}");
            let top = components.next().map(Component::as_os_str);
            assert!(
                top.is_some_and(|top| top == "proc" || top == "sys"),
                "{path}"
            );
            let rest: Vec<Component<'_>> = components.collect();
            assert!(!rest.is_empty(), "{path}");
            assert!(
                rest.iter().all(|part| matches!(part, Component::Normal(_))),
                "{path}"
            );
        }
    }

    #[test]
    fn no_mask_hides_another() {
        let all: Vec<&Path> = MASKED.iter().chain(READ_ONLY).map(Path::new).collect();
        for (index, path) in all.iter().enumerate() {
            for (other_index, other) in all.iter().enumerate() {
                assert!(
                    index == other_index || !path.starts_with(other),
                    "{} is below {}",
                    path.display(),
                    other.display(),
                );
            }
        }
    }

    #[test]
    fn each_processor_has_its_thermal_counters_masked() -> Result<(), Box<dyn std::error::Error>> {
        let paths = thermal_throttle(&"0-1,4\n".parse()?);
        insta::assert_debug_snapshot!(paths, @r#"
        [
            "/sys/devices/system/cpu/cpu0/thermal_throttle",
            "/sys/devices/system/cpu/cpu1/thermal_throttle",
            "/sys/devices/system/cpu/cpu4/thermal_throttle",
        ]
        "#);
        Ok(())
    }
}
