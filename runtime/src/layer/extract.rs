//! One entry becomes a file, directory or link. An entry replaces what an earlier one put in its place; only a
//! directory over a directory keeps what is in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::entry::{Archive, Entry, Kind};
use super::error::{Operation, Refusal, UnpackError};
use super::opaque::{clear_whiteouts, make_opaque};
use super::path::EntryPath;
use super::pax::Time;
use super::stream::Stream;
use super::tree::{Manner, Tree};
use super::{metadata, whiteout};

/// While a layer is unpacked its directories can be written, whatever the archive says.
const WORKING_MODE: Mode = Mode::from_bits_retain(0o700);

/// Writes entries under one directory.
#[derive(Debug)]
pub(super) struct Extractor<'a> {
    tree: Tree<'a>,
    directories: Vec<Pending>,
}

/// A directory's mode and time, to be set when nothing is written into it any more.
#[derive(Debug)]
struct Pending {
    path: EntryPath,
    inode: u64,
    mode: u32,
    mtime: Time,
}

impl<'a> Extractor<'a> {
    pub(super) fn new(root: BorrowedFd<'a>, manner: Manner) -> Self {
        Self {
            tree: Tree::new(root, manner),
            directories: Vec::new(),
        }
    }

    /// Makes one entry; a file's content is taken from the archive.
    pub(super) fn place(
        &mut self,
        entry: &Entry,
        archive: &mut Archive<Stream>,
    ) -> Result<(), UnpackError> {
        if self.tree.manner() == Manner::Layer
            && let Some(marker) = whiteout::marker(&entry.path)?
        {
            return whiteout::apply(&mut self.tree, &entry.path, &marker);
        }
        if entry.path.is_root() && entry.kind != Kind::Directory {
            return Err(UnpackError::refused(entry.path.as_bytes(), Refusal::Root));
        }
        match entry.kind {
            Kind::Directory => self.directory(entry),
            Kind::File => self.file(entry, archive),
            Kind::Symlink => self.symlink(entry),
            Kind::HardLink => self.hard_link(entry),
            Kind::Fifo | Kind::Character | Kind::Block => match self.tree.manner() {
                Manner::Layer => self.node(entry),
                Manner::Files => Err(UnpackError::refused(
                    entry.path.as_bytes(),
                    Refusal::Special,
                )),
            },
        }
    }

    /// Whether there is something in an entry's place.
    pub(super) fn is_there(&self, path: &EntryPath) -> bool {
        let (_, name) = path.split();
        self.tree.existing_parent(path).is_ok_and(|parent| {
            name.is_empty() || rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        })
    }

    /// Takes back what an entry has made. A directory that somebody else has put something into stays.
    pub(super) fn take_back(&self, path: &EntryPath) {
        let (_, name) = path.split();
        let Ok(parent) = self.tree.existing_parent(path) else {
            return;
        };
        if rustix::fs::unlinkat(&parent, name, AtFlags::empty()) == Err(Errno::ISDIR) {
            // There is nobody to tell.
            let _ = rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR);
        }
    }

    /// Sets the directories' modes and times, the deepest first. Whether every file's content is still there.
    pub(super) fn finish(mut self) -> Result<bool, UnpackError> {
        let opaque = self.tree.take_opaque();
        clear_whiteouts(&self.tree, opaque)?;
        let mut done = std::collections::HashSet::new();
        for pending in self.directories.iter().rev() {
            // What an archive says last of a directory counts.
            if !done.insert(pending.path.as_bytes()) {
                continue;
            }
            let failed = |operation| {
                move |errno| UnpackError::system(operation, pending.path.as_bytes(), errno)
            };
            let directory = match self.tree.open_directory(pending.path.as_bytes()) {
                // A later entry replaced it.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                result => result.map_err(failed(Operation::Open))?,
            };
            let stat = rustix::fs::fstat(&directory).map_err(failed(Operation::Stat))?;
            if stat.st_ino == pending.inode {
                rustix::fs::fchmod(&directory, Mode::from_raw_mode(pending.mode))
                    .map_err(failed(Operation::Mode))?;
                rustix::fs::futimens(&directory, &metadata::timestamps(pending.mtime))
                    .map_err(failed(Operation::Time))?;
            }
        }
        Ok(!self.tree.has_lost_content())
    }

    fn directory(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        let failed =
            |operation| move |errno| UnpackError::system(operation, entry.path.as_bytes(), errno);
        let directory = if entry.path.is_root() {
            self.tree
                .open_directory(b"")
                .map_err(failed(Operation::Open))?
        } else {
            self.make_directory(entry)?
        };
        metadata::apply(directory.as_fd(), entry)?;
        let stat = rustix::fs::fstat(&directory).map_err(failed(Operation::Stat))?;
        if stat.st_mode & 0o700 != 0o700 {
            rustix::fs::fchmod(&directory, WORKING_MODE).map_err(failed(Operation::Mode))?;
        }
        self.directories.push(Pending {
            path: entry.path.clone(),
            inode: stat.st_ino,
            mode: entry.mode,
            mtime: entry.mtime,
        });
        Ok(())
    }

    /// A new directory, or the one that an earlier entry made.
    fn make_directory(&mut self, entry: &Entry) -> Result<OwnedFd, UnpackError> {
        let failed =
            |operation| move |errno| UnpackError::system(operation, entry.path.as_bytes(), errno);
        let (parent, name) = self.tree.parent(&entry.path)?;
        let mut was_hidden = false;
        match rustix::fs::mkdirat(parent, name, WORKING_MODE) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(failed(Operation::Stat))?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    was_hidden =
                        whiteout::is_whiteout(parent, name).map_err(failed(Operation::Stat))?;
                    self.tree.clear(&entry.path)?;
                    let (parent, name) = self.tree.parent(&entry.path)?;
                    rustix::fs::mkdirat(parent, name, WORKING_MODE)
                        .map_err(failed(Operation::MakeDirectory))?;
                }
            }
            Err(errno) => return Err(failed(Operation::MakeDirectory)(errno)),
        }
        let (parent, name) = self.tree.parent(&entry.path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(parent, name, flags, Mode::empty())
            .map_err(failed(Operation::Open))?;
        if was_hidden {
            make_opaque(directory.as_fd()).map_err(failed(Operation::Opaque))?;
            self.tree.note_opaque(entry.path.as_bytes());
        }
        Ok(directory)
    }

    fn file(&mut self, entry: &Entry, archive: &mut Archive<Stream>) -> Result<(), UnpackError> {
        let file = self.create(&entry.path)?;
        archive.begin_content(entry);
        loop {
            let piece = archive.piece()?;
            if piece.is_empty() {
                break;
            }
            let count =
                rustix::io::retry_on_intr(|| rustix::io::write(&file, piece)).map_err(|errno| {
                    UnpackError::system(Operation::WriteFile, entry.path.as_bytes(), errno)
                })?;
            archive.consume(count);
        }
        metadata::apply(file.as_fd(), entry)
    }

    /// An empty new file, open for writing.
    fn create(&mut self, path: &EntryPath) -> Result<OwnedFd, UnpackError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.replace(path, Operation::CreateFile, |parent, name| {
            rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)
        })
    }

    fn symlink(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        let refused = |refusal| Err(UnpackError::refused(entry.path.as_bytes(), refusal));
        if entry.link.is_empty() {
            return refused(Refusal::Empty);
        }
        if entry.link.contains(&0) {
            return refused(Refusal::Nul);
        }
        self.replace(&entry.path, Operation::Symlink, |parent, name| {
            rustix::fs::symlinkat(&entry.link[..], parent, name)
        })?;
        self.finish_at(entry)
    }

    fn hard_link(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        let refused = |refusal| UnpackError::refused(entry.path.as_bytes(), refusal);
        let target = EntryPath::parse(&entry.link)?;
        if target.is_root() {
            return Err(refused(Refusal::LinkKind));
        }
        if target == entry.path {
            // A file linked to itself is itself; anything else would remove it first.
            return Ok(());
        }
        let directory = self
            .tree
            .existing_parent(&target)
            .map_err(|_| refused(Refusal::LinkMissing))?;
        let (_, name) = target.split();
        let stat = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|_| refused(Refusal::LinkMissing))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(refused(Refusal::LinkKind));
        }
        self.replace(&entry.path, Operation::Link, |parent, new| {
            rustix::fs::linkat(&directory, name, parent, new, AtFlags::empty())
        })
    }

    fn node(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        let (kind, device) = match entry.kind {
            Kind::Fifo => (FileType::Fifo, 0),
            Kind::Block => (
                FileType::BlockDevice,
                rustix::fs::makedev(entry.major, entry.minor),
            ),
            _ => (
                FileType::CharacterDevice,
                rustix::fs::makedev(entry.major, entry.minor),
            ),
        };
        // The kernel's own device numbers: 12 bits and 20 bits (include/linux/kdev_t.h).
        if entry.kind != Kind::Fifo && (entry.major > 0xfff || entry.minor > 0xf_ffff) {
            return Err(UnpackError::refused(entry.path.as_bytes(), Refusal::Device));
        }
        let mode = Mode::from_raw_mode(entry.mode);
        let made =
            self.replace(
                &entry.path,
                Operation::MakeNode,
                |parent, name| match rustix::fs::mknodat(parent, name, kind, mode, device) {
                    Err(Errno::PERM) => Ok(false),
                    result => result.map(|()| true),
                },
            )?;
        if made {
            return self.finish_at(entry);
        }
        // No right to make devices: an empty file remembers what it stands for.
        let file = self.create(&entry.path)?;
        metadata::apply(file.as_fd(), entry)?;
        metadata::keep_stat(&file, entry)
            .map_err(|errno| UnpackError::system(Operation::Xattr, entry.path.as_bytes(), errno))
    }

    fn finish_at(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        let (parent, name) = self.tree.parent(&entry.path)?;
        metadata::apply_at(parent, name, entry)
    }

    /// Makes something new at `path`, which fails with `EEXIST` when there is an old one; then the old one goes.
    fn replace<T>(
        &mut self,
        path: &EntryPath,
        operation: Operation,
        make: impl Fn(BorrowedFd<'_>, &[u8]) -> Result<T, Errno>,
    ) -> Result<T, UnpackError> {
        let (parent, name) = self.tree.parent(path)?;
        let made = match make(parent, name) {
            Err(Errno::EXIST) => {
                self.tree.clear(path)?;
                let (parent, name) = self.tree.parent(path)?;
                make(parent, name)
            }
            made => made,
        };
        made.map_err(|errno| UnpackError::system(operation, path.as_bytes(), errno))
    }
}
