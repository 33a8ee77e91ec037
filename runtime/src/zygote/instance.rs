//! One agent's own part of `scratch/`, told from what a killed one has left behind by a lock the kernel releases.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// A directory below `scratch/` that is ours for as long as this lives.
#[derive(Debug)]
pub(super) struct Instance {
    /// Its name in `scratch/`.
    pub(super) name: String,
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
        let taken: Vec<_> = stale.iter().map(|one| one.path.clone()).collect();
        let name = (0..)
            .map(|serial: u32| format!("{}.{serial}", std::process::id()))
            .find(|name| {
                !taken.contains(&Path::new("scratch").join(name)) && !scratch.join(name).exists()
            })
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
        Ok((Self { name, _lock: lock }, stale))
    }
}

fn stale(scratch: &Path) -> io::Result<Vec<Stale>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(scratch)? {
        let entry = entry?;
        if let Some(lock) = lock(&entry.path())? {
            found.push(Stale {
                path: Path::new("scratch").join(entry.file_name()),
                _lock: lock,
            });
        }
    }
    Ok(found)
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

    fn owner() -> (u32, u32) {
        (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        )
    }

    fn stale_paths(stale: &[Stale]) -> Vec<&Path> {
        stale.iter().map(|one| one.path.as_path()).collect()
    }

    #[test]
    fn a_living_instance_is_left_alone_and_a_dead_one_is_found_once() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("scratch")).unwrap();
        let (first, none) = Instance::create(directory.path(), owner()).unwrap();
        assert_eq!(stale_paths(&none), Vec::<&Path>::new());
        let dead = Path::new("scratch").join(&first.name);
        let (_second, none) = Instance::create(directory.path(), owner()).unwrap();
        assert_eq!(stale_paths(&none), Vec::<&Path>::new());

        drop(first);
        let (_third, found) = Instance::create(directory.path(), owner()).unwrap();
        assert_eq!(stale_paths(&found), [dead]);
        let (_fourth, again) = Instance::create(directory.path(), owner()).unwrap();
        assert_eq!(stale_paths(&again), Vec::<&Path>::new());
    }
}
