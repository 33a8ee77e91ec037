//! What keeps a mirror usable, whatever has happened to whoever wrote to it.
//!
//! ```text
//! slipway-unfinished   in a mirror: somebody transfers, or has died at it: what libgit2 has left is removed before the next
//! slipway-damaged      in a mirror: somebody has found damage: it is thrown away before the next transfer
//! name.gone            beside mirrors: one that is being thrown away
//! ```
//! All but the mark of damage is done under the mirror's lock.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::Error;

const UNFINISHED: &str = "slipway-unfinished";
const DAMAGED: &str = "slipway-damaged";

/// What libgit2 calls a pack that is not whole yet.
const PARTIAL_PACK: &str = "pack_git2_";

/// A transfer that has begun.
#[derive(Debug)]
pub(crate) struct Begun<'a>(&'a Path);

/// Says that a transfer begins, and removes what the last one has left if it was killed.
pub(crate) fn begin(mirror: &Path) -> Result<Begun<'_>, Error> {
    let mark = mirror.join(UNFINISHED);
    match File::create_new(&mark) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => clear(mirror),
        other => drop(other.map_err(Error::disk("create", &mark))?),
    }
    Ok(Begun(mirror))
}

impl Begun<'_> {
    /// Says that it has ended, however: nobody writes to the mirror any more.
    pub(crate) fn end(self) {
        clear(self.0);
        if let Err(error) = fs::remove_file(self.0.join(UNFINISHED)) {
            tracing::debug!(%error, "a mirror stays marked as unfinished");
        }
    }
}

/// Removes half a pack and locks that nobody holds. Best effort: what cannot be removed fails the transfer.
fn clear(mirror: &Path) {
    let mut directories = vec![mirror.join("refs")];
    let is_lock = |path: &Path| path.extension().is_some_and(|suffix| suffix == "lock");
    remove_files(mirror, &is_lock);
    while let Some(directory) = directories.pop() {
        remove_files(&directory, &is_lock);
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        directories.extend(inner.map(|entry| entry.path()));
    }
    let is_partial = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(PARTIAL_PACK.as_bytes()))
    };
    remove_files(&mirror.join("objects/pack"), &is_partial);
}

fn remove_files(directory: &Path, unwanted: &dyn Fn(&Path) -> bool) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if unwanted(&path)
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::debug!(path = %path.display(), %error, "what a killed transfer has left stays");
        }
    }
}

/// Which directory a mirror is: another one may be in its place by and by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// Which directory is there now.
pub(crate) fn identity(mirror: &Path) -> Option<Identity> {
    let metadata = fs::metadata(mirror).ok()?;
    Some(Identity(metadata.dev(), metadata.ino()))
}

/// Has the next transfer throw a mirror away, if it is still the one that was found damaged.
pub(crate) fn mark_damaged(mirror: &Path, found: Option<Identity>) {
    if found.is_none() || identity(mirror) != found {
        return;
    }
    if let Err(error) = File::create(mirror.join(DAMAGED)) {
        tracing::warn!(path = %mirror.display(), %error, "a damaged mirror stays");
    }
}

/// Whether somebody has found damage in it.
pub(crate) fn is_damaged(mirror: &Path) -> bool {
    mirror.join(DAMAGED).exists()
}

/// Throws a mirror away. From its first moment on there is none: half a mirror is never seen.
pub(crate) fn remove(mirror: &Path) -> Result<(), Error> {
    let gone = gone(mirror);
    let absent = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    };
    fs::remove_dir_all(&gone)
        .or_else(absent)
        .map_err(Error::disk("remove", &gone))?;
    fs::rename(mirror, &gone)
        .or_else(absent)
        .map_err(Error::disk("rename", mirror))?;
    fs::remove_dir_all(&gone)
        .or_else(absent)
        .map_err(Error::disk("remove", &gone))
}

fn gone(mirror: &Path) -> PathBuf {
    mirror.with_extension("gone")
}
