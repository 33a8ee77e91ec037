//! Removing a tree by descriptors: nothing outside it is touched, whatever it contains.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, RenameFlags, renameat_with};
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

/// Directories held open on the way down.
const MAX_OPEN: usize = 64;

/// A directory on the way down: itself, its name in the one before, and what is left in it.
struct Level {
    directory: OwnedFd,
    name: Vec<u8>,
    rest: Vec<Vec<u8>>,
}

/// As [`remove`], for any name. Iterative, since an archive may nest deeper than a stack.
pub(crate) fn remove_entry(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    let Some(first) = remove_or_enter(parent, name)? else {
        return Ok(());
    };
    let mut levels = vec![first];
    let mut hoisted = 0_u64;
    while let Some(level) = levels.last_mut() {
        if let Some(child) = level.rest.pop() {
            if let Some(next) = remove_or_enter(level.directory.as_fd(), &child)? {
                levels.push(next);
            }
            if levels.len() > MAX_OPEN {
                hoist(&mut levels, &mut hoisted)?;
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

/// Moves the deepest directory up to the first, to be removed from there: a tree of any depth takes a bounded number of
/// descriptors.
fn hoist(levels: &mut Vec<Level>, serial: &mut u64) -> Result<(), Errno> {
    let Some(deepest) = levels.pop() else {
        return Ok(());
    };
    let [first, .., above] = &mut levels[..] else {
        return Err(Errno::INVAL);
    };
    loop {
        *serial += 1;
        let name = format!(".hoisted.{serial}").into_bytes();
        match renameat_with(
            &above.directory,
            &deepest.name[..],
            &first.directory,
            &name[..],
            RenameFlags::NOREPLACE,
        ) {
            Err(Errno::EXIST) => {}
            result => {
                result?;
                first.rest.push(name);
                return Ok(());
            }
        }
    }
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

/// The names in a directory.
pub(crate) fn list(directory: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_deeper_than_we_hold_descriptors_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let parent_fd = std::fs::File::open(parent.path()).unwrap();
        let mut here: OwnedFd = parent_fd.try_clone().unwrap().into();
        for _ in 0..MAX_OPEN * 20 {
            rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
            rustix::fs::mkdirat(&here, ".hoisted.1", Mode::RWXU).unwrap();
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            here = rustix::fs::openat(&here, "d", flags, Mode::empty()).unwrap();
        }
        remove(parent_fd.as_fd(), "d").unwrap();
        remove(parent_fd.as_fd(), ".hoisted.1").unwrap();
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
