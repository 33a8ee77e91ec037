//! Which limit a failed command had run into, as far as it shows from inside, before its remains are killed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::Exceeded;
use super::limits::OwnLimits;

/// How near to its bound a disk counts as full, bytes: a program that failed has often removed a little.
const NEARLY: u64 = 64 << 10;
/// The same of a large disk.
const MOST_NEARLY: u64 = 16 << 20;
/// The same for processes.
const A_FEW: u64 = 8;

/// Looks at what the command has left. So many processes were over together with it: zombies that nobody had waited for.
pub(super) fn look(limits: &OwnLimits, zombies: u64) -> Option<Exceeded> {
    if is_full() {
        return Some(Exceeded::Disk);
    }
    let most = limits.pids()?;
    (living() + zombies + A_FEW >= most).then_some(Exceeded::Pids)
}

/// Whether what is written to the root, which is an overlay's upper layer, has no room: a hundredth of it is none.
fn is_full() -> bool {
    let Ok(found) = rustix::fs::statvfs("/") else {
        return false;
    };
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    let nearly = (bytes(found.f_blocks) / 100).clamp(NEARLY, MOST_NEARLY);
    bytes(found.f_bavail) < nearly || (found.f_files > 0 && found.f_ffree == 0)
}

/// Processes and threads in our PID namespace, as its `/proc` shows them.
fn living() -> u64 {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
        })
        // `.`, `..` and a directory a thread.
        .filter_map(|entry| fs::metadata(entry.path().join("task")).ok())
        .map(|task| task.nlink().saturating_sub(2))
        .sum()
}
