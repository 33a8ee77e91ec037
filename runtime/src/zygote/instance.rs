//! One agent's own part of `scratch/`, told from what a killed one has left behind by a lock the kernel releases.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// What a user asked to keep is taken for forgotten after this.
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// The end of a kept directory's name.
const KEPT: &str = ".kept";

/// A directory below `scratch/` that is ours for as long as this lives.
#[derive(Debug)]
pub(super) struct Instance {
    /// Its name in `scratch/`.
    pub(super) name: String,
    path: PathBuf,
    kept: AtomicBool,
    finished: AtomicBool,
    /// Holds the lock.
    _lock: OwnedFd,
}

/// A directory whose agent is gone; nobody else takes it while this lives.
#[derive(Debug)]
pub(super) struct Stale {
    /// Relative to the namespace's directory: `scratch/<name>`.
    pub(super) path: PathBuf,
    _lock: OwnedFd,
}

impl Instance {
    /// Makes a directory for this process and finds those of dead ones.
    ///
    /// # Errors
    /// With the path at fault.
    pub(super) fn create(
        directory: &Path,
        owner: (u32, u32),
    ) -> Result<(Self, Vec<Stale>), (PathBuf, io::Error)> {
        let scratch = directory.join("scratch");
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| (path, error)
        };
        // Held while directories are made and looked through, so that nobody takes one that is not locked yet.
        let guard = File::open(&scratch).map_err(at(&scratch))?;
        flock(&guard, FlockOperation::LockExclusive)
            .map_err(|errno| (scratch.clone(), errno.into()))?;
        let stale = stale(&scratch).map_err(at(&scratch))?;
        // Process ids come again, in a container soon: what another one keeps must not be in our way when we keep.
        let is_free = |name: &String| {
            let path = scratch.join(name);
            !path.exists() && !kept(&path).exists()
        };
        let name = (0..u32::MAX)
            .map(|serial| format!("{}.{serial}", std::process::id()))
            .find(is_free)
            .unwrap_or_default();
        let path = scratch.join(&name);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(at(&path))?;
        std::os::unix::fs::chown(&path, Some(owner.0), Some(owner.1)).map_err(at(&path))?;
        let lock = lock(&path)
            .map_err(at(&path))?
            .ok_or_else(|| (path.clone(), io::Error::from(Errno::WOULDBLOCK)))?;
        let instance = Self {
            name,
            path,
            kept: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            _lock: lock,
        };
        Ok((instance, stale))
    }

    /// Has the directory renamed instead of removed in the end; returns its later path.
    pub(super) fn keep(&self) -> PathBuf {
        self.kept.store(true, Ordering::Relaxed);
        kept(&self.path)
    }

    /// Removes or renames the directory, once. By now everything in it has been removed; what is not, because we are in
    /// a hurry, the next agent finds.
    pub(super) fn finish(&self) {
        if self.finished.swap(true, Ordering::Relaxed) {
            return;
        }
        let result = if self.kept.load(Ordering::Relaxed) {
            fs::rename(&self.path, kept(&self.path))
        } else {
            fs::remove_dir(&self.path)
        };
        if let Err(error) = result {
            tracing::debug!(%error, path = %self.path.display(), "left for the next agent");
        }
    }
}

/// What an instance's directory is called when it is kept.
fn kept(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(KEPT);
    path.into()
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.finish();
    }
}

fn stale(scratch: &Path) -> io::Result<Vec<Stale>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(scratch)? {
        let entry = entry?;
        let path = entry.path();
        if path.to_string_lossy().ends_with(KEPT) && is_recent(&path) {
            continue;
        }
        if let Some(lock) = lock(&path)? {
            found.push(Stale {
                path: Path::new("scratch").join(entry.file_name()),
                _lock: lock,
            });
        }
    }
    Ok(found)
}

fn is_recent(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|meta| meta.modified());
    modified.is_ok_and(|time| {
        // The error is a time in the future, which is recent as well.
        SystemTime::now()
            .duration_since(time)
            .map_or(true, |age| age < KEPT_FOR)
    })
}

/// The lock of a directory, unless a living agent has it.
fn lock(path: &Path) -> io::Result<Option<OwnedFd>> {
    let directory = match File::open(path) {
        Ok(directory) => directory,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(directory.into())),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(directory: &Path) -> (Instance, Vec<PathBuf>) {
        let owner = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let (instance, stale) = Instance::create(directory, owner).unwrap();
        (instance, stale.into_iter().map(|one| one.path).collect())
    }

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("scratch")).unwrap();
        directory
    }

    #[test]
    fn a_living_instance_is_left_alone_and_a_dead_ones_remains_are_found() {
        let directory = directory();
        let (living, found) = create(directory.path());
        assert_eq!(found, Vec::<PathBuf>::new());
        // Killed: its lock is gone, its directory is not.
        let remains = directory.path().join("scratch/1.0");
        fs::create_dir(&remains).unwrap();
        let (_other, found) = create(directory.path());
        assert_eq!(found, [Path::new("scratch/1.0")]);
        assert!(living.path.exists());
    }

    #[test]
    fn an_instance_that_ends_in_order_leaves_nothing() {
        let directory = directory();
        drop(create(directory.path()).0);
        assert_eq!(
            fs::read_dir(directory.path().join("scratch"))
                .unwrap()
                .count(),
            0
        );
    }

    #[test]
    fn what_is_kept_stays_until_it_is_forgotten() {
        let directory = directory();
        let (instance, _) = create(directory.path());
        fs::create_dir(instance.path.join("workspace.main")).unwrap();
        let kept = instance.keep();
        drop(instance);
        assert!(kept.join("workspace.main").exists());
        let (next, found) = create(directory.path());
        assert_eq!(found, Vec::<PathBuf>::new());
        drop(next);

        // The process id has come again.
        let (instance, _) = create(directory.path());
        let other = instance.keep();
        drop(instance);
        assert!(other != kept && other.exists() && kept.join("workspace.main").exists());

        let long_ago = SystemTime::now() - KEPT_FOR - Duration::from_secs(1);
        File::open(&kept).unwrap().set_modified(long_ago).unwrap();
        let (_later, found) = create(directory.path());
        assert_eq!(found.len(), 1);
    }
}
