//! Layers of the machine that are kept from run to run, as long as the machine stays as it is.
//!
//! ```text
//! host/               below the zygote's working directory; locked shared by every zygote that may use what is in it
//!   FINGERPRINT/      a whole layer, read-only by convention
//!   .new-N/           one being built, or left by a builder that died
//! ```
//! A layer that may be the lower one of a container must not be removed, so that happens only when the lock can be had
//! alone: when no other zygote of these ids exists.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;

use crate::container::StartError;
use crate::container::error::During;
use crate::layer;

const DIRECTORY: &str = "host";

/// Keeps the layers from being removed as long as it exists.
#[derive(Debug)]
pub(crate) struct Kept {
    _lock: OwnedFd,
}

impl Kept {
    /// Takes part in using the layers; removes old ones if nobody else does.
    pub(crate) fn open() -> Result<Self, StartError> {
        let path = Path::new(DIRECTORY);
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result.during_at("make", path)?,
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = open(path, flags, Mode::empty()).during_at("open", path)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => prune(&lock)?,
            Err(Errno::WOULDBLOCK) => {}
            Err(errno) => return Err(errno).during_at("lock", path),
        }
        flock(&lock, FlockOperation::LockShared).during_at("lock", path)?;
        Ok(Self { _lock: lock })
    }
}

/// The layer of that name, made by `build` in a fresh directory if there is none.
pub(super) fn find_or_build(
    name: &str,
    build: impl FnOnce(&Path) -> Result<(), StartError>,
) -> Result<PathBuf, StartError> {
    let path = Path::new(DIRECTORY).join(name);
    if path.exists() {
        return Ok(path);
    }
    let new = fresh()?;
    build(&new)?;
    match rustix::fs::rename(&new, &path) {
        Ok(()) => {}
        // Another zygote was faster; its layer is the same.
        Err(Errno::EXIST | Errno::NOTEMPTY) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let directory = open(DIRECTORY, flags, Mode::empty()).during("open the layers")?;
            let name = new.file_name().unwrap_or_default().as_bytes();
            layer::remove_entry(directory.as_fd(), name).during_at("remove", &new)?;
        }
        Err(errno) => return Err(errno).during_at("rename", &new),
    }
    Ok(path)
}

/// A directory of ours alone, in the mode of a root.
fn fresh() -> Result<PathBuf, StartError> {
    for number in 0_u32.. {
        let path = Path::new(DIRECTORY).join(format!(".new-{number}"));
        match fs::DirBuilder::new().mode(0o755).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).during_at("make", &path),
        }
    }
    Err(Errno::EXIST).during("find a free name for the layer")
}

/// Removes everything but the layer that was made last.
fn prune(directory: &OwnedFd) -> Result<(), StartError> {
    let path = Path::new(DIRECTORY);
    let mut layers: Vec<(SystemTime, std::ffi::OsString)> = Vec::new();
    let mut old = Vec::new();
    for entry in fs::read_dir(path).during_at("list", path)? {
        let entry = entry.during_at("list", path)?;
        let name = entry.file_name();
        if name.as_bytes().starts_with(b".new-") {
            old.push(name);
        } else {
            let made = entry.metadata().and_then(|meta| meta.modified());
            layers.push((made.during_at("look at", &entry.path())?, name));
        }
    }
    layers.sort();
    layers.pop();
    for name in old
        .into_iter()
        .chain(layers.into_iter().map(|(_, name)| name))
    {
        layer::remove_entry(directory.as_fd(), name.as_bytes())
            .during_at("remove", &path.join(&name))?;
    }
    Ok(())
}
