//! The directory a layer is unpacked into, and the way to each place in it.
//!
//! Parents are resolved by the kernel with the layer as the root (`openat2(2)`, `RESOLVE_IN_ROOT`): a symbolic link in
//! the layer, absolute or with any number of `..`, stays inside. The last component is never followed.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::error::{Operation, UnpackError};
use super::opaque::make_opaque;
use super::path::EntryPath;
use super::remove::remove_entry;
use super::whiteout;
use crate::security::Defence;

/// For a directory that the archive has no entry for.
const IMPLIED_MODE: Mode = Mode::from_bits_retain(0o755);

/// What an archive is unpacked as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// A layer: with whiteouts and devices, and links of its own that lead on.
    Layer,
    /// Plain files beside others', who may have left links in the way: none is followed.
    Files,
}

/// The directory a layer is unpacked into.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    root: BorrowedFd<'a>,
    manner: Manner,
    /// The last parent: archives list a directory's files together.
    parent: Option<(Vec<u8>, OwnedFd)>,
    has_lost_content: bool,
    /// Directories that were marked as opaque.
    opaque: HashSet<Vec<u8>>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(root: BorrowedFd<'a>, manner: Manner) -> Self {
        Self {
            root,
            manner,
            parent: None,
            has_lost_content: false,
            opaque: HashSet::new(),
        }
    }

    pub(super) const fn manner(&self) -> Manner {
        self.manner
    }

    /// Whether something was removed that the archive has a content for.
    pub(super) const fn has_lost_content(&self) -> bool {
        self.has_lost_content
    }

    /// Remembers a directory that was marked as opaque.
    pub(super) fn note_opaque(&mut self, path: &[u8]) {
        self.opaque.insert(path.to_vec());
    }

    pub(super) fn take_opaque(&mut self) -> HashSet<Vec<u8>> {
        std::mem::take(&mut self.opaque)
    }

    /// The directory that `path` is in, made when it is missing, and the path's last component.
    pub(super) fn parent<'b>(
        &mut self,
        path: &'b EntryPath,
    ) -> Result<(BorrowedFd<'_>, &'b [u8]), UnpackError> {
        let (parent, name) = path.split();
        if self
            .parent
            .as_ref()
            .is_none_or(|(cached, _)| cached != parent)
        {
            self.parent = None;
            let directory = match self.open_directory(parent) {
                Err(Errno::NOENT | Errno::NOTDIR) => self.make_directories(parent),
                result => result,
            }
            .map_err(|errno| UnpackError::system(Operation::OpenParent, path.as_bytes(), errno))?;
            self.parent = Some((parent.to_vec(), directory));
        }
        match &self.parent {
            Some((_, directory)) => Ok((directory.as_fd(), name)),
            None => Ok((self.root, name)),
        }
    }

    /// The directory that `path` is in, which must exist.
    pub(super) fn existing_parent(&self, path: &EntryPath) -> Result<OwnedFd, Errno> {
        self.open_directory(path.split().0)
    }

    /// Opens a directory for its content and attributes; the empty path is the root.
    pub(super) fn open_directory(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = match self.manner {
            _ if !Defence::UnpackInRoot.is_on() => ResolveFlags::empty(),
            Manner::Layer => ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
            Manner::Files => {
                ResolveFlags::BENEATH
                    | ResolveFlags::NO_SYMLINKS
                    | ResolveFlags::NO_MAGICLINKS
                    | ResolveFlags::NO_XDEV
            }
        };
        // EAGAIN: a rename elsewhere on the machine raced with a `..` in a symbolic link (openat2(2)).
        for _ in 0..64 {
            match rustix::fs::openat2(self.root, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }

    /// Makes every missing directory on the way to `path`.
    fn make_directories(&mut self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let mut directory = self.open_directory(b"")?;
        let mut end = 0;
        for component in path.split(|b| *b == b'/') {
            end += component.len();
            let here = &path[..end];
            directory = match self.open_directory(here) {
                Ok(next) => next,
                Err(Errno::NOENT) => make_implied(self, directory.as_fd(), component, here)?,
                // Deleted from the layers below and made anew: the old content must not show through.
                Err(Errno::NOTDIR) if whiteout::is_whiteout(directory.as_fd(), component)? => {
                    rustix::fs::unlinkat(&directory, component, AtFlags::empty())?;
                    let next = make_implied(self, directory.as_fd(), component, here)?;
                    make_opaque(next.as_fd())?;
                    self.note_opaque(here);
                    next
                }
                Err(errno) => return Err(errno),
            };
            end += 1;
        }
        Ok(directory)
    }

    /// Removes whatever stands at `path`, a directory with all that is in it.
    pub(super) fn clear(&mut self, path: &EntryPath) -> Result<(), UnpackError> {
        let failed = |errno| UnpackError::system(Operation::Remove, path.as_bytes(), errno);
        let (parent, name) = self.parent(path)?;
        let is_whiteout = whiteout::is_whiteout(parent, name).map_err(failed)?;
        remove_entry(parent, name).map_err(failed)?;
        self.has_lost_content |= !is_whiteout;
        // The cached parent may have been in it, or reached through it.
        self.parent = None;
        Ok(())
    }
}

/// Makes a directory that the archive has no entry for and opens it by its path from the root, which is `here`.
fn make_implied(
    tree: &Tree<'_>,
    parent: BorrowedFd<'_>,
    name: &[u8],
    here: &[u8],
) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(parent, name, IMPLIED_MODE) {
        // A symbolic link to nowhere: opening it says so.
        Err(Errno::EXIST) => tree.open_directory(here),
        Err(errno) => Err(errno),
        Ok(()) => {
            let directory = tree.open_directory(here)?;
            rustix::fs::fchmod(&directory, IMPLIED_MODE)?;
            Ok(directory)
        }
    }
}
