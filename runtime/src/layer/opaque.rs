//! Directories that cover what lower layers have of their name.
//!
//! Nothing below such a directory is merged with anything, and there overlayfs does not look for whiteouts when it lists
//! (Linux, fs/overlayfs/readdir.c, `ovl_iterate_real`): their names would be shown, and lead nowhere. They hide nothing, so
//! they are removed.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Dir, FileType, XattrFlags};
use rustix::io::Errno;

use super::error::{Operation, UnpackError};
use super::path::EntryPath;
use super::tree::Tree;
use super::whiteout;

/// On a directory: what lower layers have in it is gone.
const ATTRIBUTE: &std::ffi::CStr = c"user.overlay.opaque";

/// Marks a directory, in the attribute that an overlay mounted in a user namespace reads.
pub(super) fn make_opaque(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::fs::fsetxattr(directory, ATTRIBUTE, b"y", XattrFlags::empty())
}

/// Whether a directory is marked.
pub(super) fn is_opaque(directory: impl AsFd) -> Result<bool, Errno> {
    let mut value = [0; 4];
    match rustix::fs::fgetxattr(directory, ATTRIBUTE, &mut value) {
        Ok(length) => Ok(&value[..length] == b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether `path` is below a directory that is marked.
pub(super) fn is_covered(tree: &Tree<'_>, path: &EntryPath) -> Result<bool, Errno> {
    let (mut directory, _) = path.split();
    loop {
        match tree.open_directory(directory).and_then(is_opaque) {
            Ok(false) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if directory.is_empty() => {
                return Ok(false);
            }
            Ok(false) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            decided => return decided,
        }
        let end = directory
            .iter()
            .rposition(|byte| *byte == b'/')
            .unwrap_or(0);
        directory = &directory[..end];
    }
}

/// Removes the whiteouts in directories that were marked, and below them.
pub(super) fn clear_whiteouts(
    tree: &Tree<'_>,
    marked: HashSet<Vec<u8>>,
) -> Result<(), UnpackError> {
    let mut seen = HashSet::new();
    let mut rest: Vec<(Vec<u8>, bool)> = marked.into_iter().map(|path| (path, true)).collect();
    while let Some((path, must_be_marked)) = rest.pop() {
        let failed = |errno| UnpackError::system(Operation::Whiteout, &path, errno);
        let directory = match tree.open_directory(&path) {
            // A later entry replaced it.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            result => result.map_err(failed)?,
        };
        if must_be_marked && !is_opaque(&directory).map_err(failed)? {
            continue;
        }
        let stat = rustix::fs::fstat(&directory).map_err(failed)?;
        if !seen.insert(stat.st_ino) {
            continue;
        }
        for entry in Dir::read_from(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            match entry.file_type() {
                FileType::Directory if name != c"." && name != c".." => {
                    let child = match &path[..] {
                        b"" => name.to_bytes().to_vec(),
                        path => [path, b"/", name.to_bytes()].concat(),
                    };
                    rest.push((child, false));
                }
                FileType::CharacterDevice | FileType::Unknown
                    if whiteout::is_whiteout(directory.as_fd(), name.to_bytes())
                        .map_err(failed)? =>
                {
                    rustix::fs::unlinkat(&directory, name, AtFlags::empty()).map_err(failed)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}
