//! What there is to choose from.

use std::io::Write;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, OFlags, Stat};
use rustix::io::Errno;

use super::error::{CollectError, TooMuch};
use super::{apart, open};
use crate::layer::list as names_of;

/// Files, directories and links that are looked at.
pub(super) const MOST: u64 = 1_000_000;
/// Bytes of their names.
const NAMES: u64 = 128 << 20;

/// What is git's own and no part of the tree: an agent of a server has none.
const GIT: &[u8] = b".git";

/// A file, a directory or a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// From the root; not necessarily UTF-8.
    pub path: Vec<u8>,
    /// Which.
    pub kind: FoundKind,
}

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FoundKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a pipe, a socket.
    Special,
    /// A directory that we may not read.
    Unreadable,
}

impl FoundKind {
    const ALL: [(Self, u8); 5] = [
        (Self::File, b'f'),
        (Self::Directory, b'd'),
        (Self::Link, b'l'),
        (Self::Special, b's'),
        (Self::Unreadable, b'u'),
    ];

    const fn letter(self) -> u8 {
        match self {
            Self::File => b'f',
            Self::Directory => b'd',
            Self::Link => b'l',
            Self::Special => b's',
            Self::Unreadable => b'u',
        }
    }

    const fn of(stat: &Stat) -> Self {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Link,
            _ => Self::Special,
        }
    }
}

impl Found {
    /// What [`list`] has written: kind, path, NUL.
    pub(crate) fn read(bytes: &[u8]) -> Vec<Self> {
        let found = |one: &[u8]| {
            let (letter, path) = one.split_first()?;
            let (kind, _) = FoundKind::ALL.into_iter().find(|(_, its)| its == letter)?;
            Some(Self {
                path: path.to_vec(),
                kind,
            })
        };
        apart(bytes).filter_map(found).collect()
    }
}

/// What a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// A working tree: its `.git` is not looked at.
    Tree,
    /// Any directory.
    Directory,
}

/// Writes down everything at and below the given paths, each with what it is. What is not there is passed over; no link is
/// followed.
///
/// # Errors
/// The kernel refuses, or there is more than is looked at.
pub(crate) fn list(
    root: BorrowedFd<'_>,
    of: Of,
    below: &[u8],
    out: impl Write,
) -> Result<(), CollectError> {
    let mut listing = Listing {
        root,
        of,
        out: std::io::BufWriter::with_capacity(64 << 10, out),
        count: 0,
        bytes: 0,
        open: Vec::new(),
    };
    for path in apart(below) {
        if path.is_empty() {
            listing.open.push(Vec::new());
        } else {
            listing.start(path)?;
        }
        while let Some(directory) = listing.open.pop() {
            listing.directory(&directory)?;
        }
    }
    listing
        .out
        .flush()
        .map_err(|error| CollectError::write(&error))
}

struct Listing<'r, W: Write> {
    root: BorrowedFd<'r>,
    of: Of,
    out: std::io::BufWriter<W>,
    count: u64,
    bytes: u64,
    /// Directories that were found and not yet read; paths and not descriptors, since a tree may be deeper than there are of those.
    open: Vec<Vec<u8>>,
}

impl<W: Write> Listing<'_, W> {
    /// Where to begin.
    fn start(&mut self, path: &[u8]) -> Result<(), CollectError> {
        if self.of == Of::Tree && path.split(|byte| *byte == b'/').next() == Some(GIT) {
            return Ok(());
        }
        let at = match open(self.root, path, OFlags::PATH) {
            // It is not there, or is reached through a link only.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::XDEV) => {
                return Ok(());
            }
            Err(Errno::ACCESS) => return self.note(path, FoundKind::Unreadable),
            at => at.map_err(|errno| CollectError::system("open", path, errno))?,
        };
        let stat =
            rustix::fs::fstat(&at).map_err(|errno| CollectError::system("look at", path, errno))?;
        self.found(path, FoundKind::of(&stat))
    }

    fn directory(&mut self, path: &[u8]) -> Result<(), CollectError> {
        let directory = match open(self.root, path, OFlags::RDONLY | OFlags::DIRECTORY) {
            // Deeper than a path can say.
            Err(Errno::ACCESS | Errno::XDEV | Errno::NAMETOOLONG) => {
                return self.note(path, FoundKind::Unreadable);
            }
            // It was there when it was found.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            directory => directory.map_err(|errno| CollectError::system("open", path, errno))?,
        };
        let directory = &directory;
        let names = names_of(std::os::fd::AsFd::as_fd(directory))
            .map_err(|errno| CollectError::system("list", path, errno))?;
        for name in names {
            let child = match path {
                [] if self.of == Of::Tree && name == GIT => continue,
                [] => name.clone(),
                path => [path, b"/", &name[..]].concat(),
            };
            match rustix::fs::statat(directory, &name[..], AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => {}
                Err(Errno::ACCESS) => self.note(&child, FoundKind::Unreadable)?,
                stat => {
                    let stat =
                        stat.map_err(|errno| CollectError::system("look at", &child, errno))?;
                    self.found(&child, FoundKind::of(&stat))?;
                }
            }
        }
        Ok(())
    }

    fn found(&mut self, path: &[u8], kind: FoundKind) -> Result<(), CollectError> {
        self.note(path, kind)?;
        if kind == FoundKind::Directory {
            self.open.push(path.to_vec());
        }
        Ok(())
    }

    fn note(&mut self, path: &[u8], kind: FoundKind) -> Result<(), CollectError> {
        self.count += 1;
        self.bytes += path.len() as u64 + 2;
        for (what, count, limit) in [
            (TooMuch::Files, self.count, MOST),
            (TooMuch::Names, self.bytes, NAMES),
        ] {
            if count > limit {
                return Err(CollectError::TooMuch { what, limit });
            }
        }
        [&[kind.letter()], path, &[0]]
            .into_iter()
            .try_for_each(|piece| self.out.write_all(piece))
            .map_err(|error| CollectError::write(&error))
    }
}
