//! The kernel's version, against what the runtime uses.

use super::{Check, Machine};

const NAME: &str = "kernel";

/// mount_setattr(2), overlay in a user namespace with `userxattr`.
const LEAST: (u32, u32) = (5, 12);
/// User attributes on tmpfs.
const WHOLE: (u32, u32) = (6, 6);

pub(super) fn check(machine: &Machine<'_>) -> Check {
    let release = machine
        .read("proc/sys/kernel/osrelease")
        .unwrap_or_default();
    let Some(version) = version(&release) else {
        return Check::limited(
            NAME,
            format!("`{release}`, which is no version"),
            "none known",
        );
    };
    let found = format!("Linux {release}");
    if version < LEAST {
        let fix = format!("upgrade to Linux {}.{} or newer", LEAST.0, LEAST.1);
        Check::missing(NAME, found, fix)
    } else if version < WHOLE {
        let note = format!("{found}: what a container writes is kept on disk, not in memory");
        let fix = format!("Linux {}.{} keeps it in memory", WHOLE.0, WHOLE.1);
        Check::limited(NAME, note, fix)
    } else {
        Check::found(NAME, found)
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
