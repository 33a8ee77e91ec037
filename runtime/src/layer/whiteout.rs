//! How a layer says that something of the layers below is gone: OCI's marker files (image specification, layer.md,
//! "Whiteouts") become what overlayfs looks for (Linux, Documentation/filesystems/overlayfs.rst).
//!
//! | in the archive | on the disk |
//! |---|---|
//! | `.wh.NAME` | a character device 0/0 called `NAME`; needs no capability |
//! | `.wh..wh..opq` | `user.overlay.opaque=y` on the directory; overlayfs reads it when mounted with `userxattr` |
//! | `.wh..wh.*` | nothing: AUFS's own book-keeping |
//!
//! A whiteout hides only what is in lower layers: an entry of the same layer wins, whichever comes first, and a
//! directory that is both deleted and made anew becomes opaque. In and below an opaque directory there are none (see
//! `opaque`).

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::error::{Operation, Refusal, UnpackError};
use super::opaque::make_opaque;
use super::path::EntryPath;
use super::tree::Tree;

const PREFIX: &[u8] = b".wh.";
const META_PREFIX: &[u8] = b".wh..wh.";
/// Covers what lower layers have in its directory.
pub(super) const OPAQUE: &[u8] = b".wh..wh..opq";

/// What a marker file asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// Hide the sibling of this name.
    Hide(Vec<u8>),
    /// Hide everything that lower layers have in this directory.
    Opaque,
    /// Nothing.
    Ignored,
}

/// Whether an entry is a marker.
pub(super) fn marker(path: &EntryPath) -> Result<Option<Marker>, UnpackError> {
    let (_, name) = path.split();
    if name == OPAQUE {
        return Ok(Some(Marker::Opaque));
    }
    if name.starts_with(META_PREFIX) {
        return Ok(Some(Marker::Ignored));
    }
    match name.strip_prefix(PREFIX) {
        None => Ok(None),
        Some(b"" | b"." | b"..") => Err(UnpackError::refused(path.as_bytes(), Refusal::Whiteout)),
        Some(hidden) => Ok(Some(Marker::Hide(hidden.to_vec()))),
    }
}

/// Carries out a marker.
pub(super) fn apply(
    tree: &mut Tree<'_>,
    path: &EntryPath,
    marker: &Marker,
) -> Result<(), UnpackError> {
    let failed = |operation| move |errno| UnpackError::system(operation, path.as_bytes(), errno);
    match marker {
        Marker::Ignored => Ok(()),
        Marker::Opaque => {
            let (parent, _) = tree.parent(path)?;
            make_opaque(parent).map_err(failed(Operation::Opaque))?;
            tree.note_opaque(path.split().0);
            Ok(())
        }
        Marker::Hide(name) => {
            let (parent, _) = tree.parent(path)?;
            match make_whiteout(parent, name) {
                Err(Errno::EXIST) => {
                    let flags =
                        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    match rustix::fs::openat(parent, &name[..], flags, Mode::empty()) {
                        Ok(directory) => {
                            make_opaque(directory.as_fd()).map_err(failed(Operation::Opaque))?;
                            tree.note_opaque(&match path.split().0 {
                                b"" => name.clone(),
                                parent => [parent, b"/", name].concat(),
                            });
                            Ok(())
                        }
                        // A file of this layer covers the one below as it is.
                        Err(Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(()),
                        Err(errno) => Err(failed(Operation::Whiteout)(errno)),
                    }
                }
                result => result.map_err(failed(Operation::Whiteout)),
            }
        }
    }
}

/// Makes a character device 0/0.
pub(super) fn make_whiteout(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    rustix::fs::mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0)
}

/// Whether `name` is a character device 0/0.
pub(super) fn is_whiteout(parent: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(
            FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0,
        ),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}
