//! Removing a tree by descriptors: nothing outside it is touched, whatever it contains.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::error::{Operation, UnpackError};

/// Removes `name` in `parent` and everything under it, following no symbolic link; a missing one is no error.
///
/// # Errors
/// The kernel refuses; what was removed stays removed, and a second call goes on from there.
pub fn remove(parent: BorrowedFd<'_>, name: &str) -> Result<(), UnpackError> {
    remove_entry(parent, name.as_bytes())
        .map_err(|errno| UnpackError::system(Operation::Remove, name.as_bytes(), errno))
}

/// A directory on the way down: itself, its name in the one before, and what is left in it.
struct Level {
    directory: OwnedFd,
    name: Vec<u8>,
    rest: Vec<Vec<u8>>,
}

/// As [`remove`], for any name. Iterative, since an archive may nest deeper than a stack.
pub(super) fn remove_entry(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    let Some(first) = remove_or_enter(parent, name)? else {
        return Ok(());
    };
    let mut levels = vec![first];
    while let Some(level) = levels.last_mut() {
        if let Some(child) = level.rest.pop() {
            if let Some(next) = remove_or_enter(level.directory.as_fd(), &child)? {
                levels.push(next);
            }
            continue;
        }
        let Some(done) = levels.pop() else { break };
        let above = levels
            .last()
            .map_or(parent, |level| level.directory.as_fd());
        gone(rustix::fs::unlinkat(
            above,
            &done.name[..],
            AtFlags::REMOVEDIR,
        ))?;
    }
    Ok(())
}

/// Unlinks `name`, or lists it if it is a directory with something in it.
fn remove_or_enter(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Level>, Errno> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        result => return gone(result).map(|()| None),
    }
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        result => return gone(result).map(|()| None),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        // An image may hold a directory that its owner may not read.
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            rustix::fs::openat(parent, name, flags, Mode::empty())?
        }
        result => result?,
    };
    let mode = rustix::fs::fstat(&directory)?.st_mode;
    if mode & 0o700 != 0o700 {
        rustix::fs::fchmod(&directory, Mode::RWXU)?;
    }
    let rest = list(directory.as_fd())?;
    Ok(Some(Level {
        directory,
        name: name.to_vec(),
        rest,
    }))
}

fn list(directory: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    let mut buffer = Vec::with_capacity(32 * 1024);
    let mut reader = RawDir::new(directory, buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = reader.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

fn gone(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}
