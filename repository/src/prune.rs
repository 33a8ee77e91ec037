//! Which mirrors go: those that nobody uses, and the longest unused of too much.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::mirror::Lock;
use crate::{Mirrors, upkeep};

/// What mirrors may take. Nothing in them is precious: what has gone is fetched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// How long one stays that nobody fetches to.
    pub unused_for: Duration,
    /// How much all of them take, bytes on the disk.
    pub bytes: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            unused_for: Duration::from_secs(30 * 24 * 60 * 60),
            bytes: 20 << 30,
        }
    }
}

/// One that was fetched to since is needed again, most likely: it stays, whatever it takes.
const RECENT: Duration = Duration::from_secs(10 * 60);

/// A mirror, as its lock tells.
struct Candidate {
    lock: PathBuf,
    idle: Duration,
    bytes: u64,
}

impl Mirrors {
    /// Removes what is not to be kept; one that is written to or read stays. Best effort. How many were removed.
    pub fn prune(&self, keep: &Keep) -> usize {
        let mut all = self.candidates();
        all.sort_by_key(|candidate| candidate.idle);
        let mut total = 0_u64;
        let mut removed = 0;
        for candidate in all {
            total = total.saturating_add(candidate.bytes);
            let is_too_much = total > keep.bytes && candidate.idle >= RECENT;
            if (candidate.idle >= keep.unused_for || is_too_much) && remove(&candidate.lock) {
                total -= candidate.bytes;
                removed += 1;
            }
        }
        removed
    }

    fn candidates(&self) -> Vec<Candidate> {
        let entries = fs::read_dir(self.directory()).into_iter().flatten();
        let locks = entries.flatten().map(|entry| entry.path());
        let candidate = |lock: PathBuf| {
            if lock.extension().is_none_or(|suffix| suffix != "lock") {
                return None;
            }
            let mirror = lock.with_extension("git");
            if !mirror.exists() {
                return None;
            }
            // Whoever fetches touches it. One of the future is of a clock that was set: as good as new.
            let used = fs::metadata(&lock).and_then(|metadata| metadata.modified());
            let idle = SystemTime::now().duration_since(used.ok()?);
            Some(Candidate {
                bytes: size(&mirror),
                idle: idle.unwrap_or_default(),
                lock,
            })
        };
        locks.filter_map(candidate).collect()
    }
}

/// Removes a mirror, unless somebody writes to it or reads it. The locks themselves stay: somebody may wait for them.
fn remove(lock: &Path) -> bool {
    let Some(_alone) = Lock::take_alone(lock) else {
        return false;
    };
    let Some(_unread) = Lock::take_alone(&lock.with_extension("use")) else {
        return false;
    };
    let removed = upkeep::remove(&lock.with_extension("git"));
    if let Err(error) = &removed {
        tracing::warn!(%error, "an unused mirror stays");
    }
    removed.is_ok()
}

/// What a directory takes on the disk, bytes.
fn size(directory: &Path) -> u64 {
    let mut directories = vec![directory.to_owned()];
    let mut bytes = 0;
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            bytes += metadata.blocks() * 512;
            if metadata.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    bytes
}
