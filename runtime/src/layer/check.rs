//! Whether a layer's tree is what was unpacked: every content by the diff ID of the archive made again, and everything
//! else an archive says of a file by a look at it.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek, SeekFrom, sink};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::entry::Kind;
use super::error::{Change, Operation, UnpackError};
use super::expected::{Expected, expected};
use super::metadata::{Kept, kept_stat};
use super::opaque::{is_covered, is_opaque};
use super::path::EntryPath;
use super::recording::Recording;
use super::replay::replay;
use super::tree::{Manner, Tree};
use super::whiteout::{self, Marker};
use crate::image::Digest;

/// Differences that are told; more are only counted.
const MOST: usize = 20;

/// What a look at a layer has shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Of the archive as the tree gives it now; `None` when a file that it needs is gone.
    pub diff_id: Option<Digest>,
    /// What differs, the first twenty.
    pub differences: Vec<UnpackError>,
    /// How many differ in all.
    pub count: u64,
    /// Entries that were looked at.
    pub entries: u64,
}

/// Compares the tree in `root` with its recording.
///
/// # Errors
/// The recording cannot be used, or the kernel refuses a look.
pub fn check(
    root: BorrowedFd<'_>,
    mut recording: impl Read + Seek,
) -> Result<Checked, UnpackError> {
    let rewind = |recording: &mut dyn Seek| {
        recording
            .seek(SeekFrom::Start(0))
            .map_err(|error| UnpackError::Recording {
                reason: error.to_string(),
            })
    };
    rewind(&mut recording)?;
    let (diff_id, first) = match replay(root, &mut recording, sink()) {
        Ok((digest, _)) => (Some(digest), None),
        Err(error @ UnpackError::Changed { .. }) => (None, Some(error)),
        Err(error) => return Err(error),
    };
    rewind(&mut recording)?;
    let mut check = Check {
        tree: Tree::new(root, Manner::Layer),
        seen: HashMap::new(),
        opaque: HashSet::new(),
        either: HashSet::new(),
        differences: Vec::new(),
        count: 0,
    };
    let entries = expected(Recording::open(recording)?)?;
    let number = entries.len() as u64;
    for (path, entry) in &entries {
        check.entry(path, entry)?;
    }
    check.strangers(&entries)?;
    if check.count == 0 {
        check.differences.extend(first);
        check.count = check.differences.len() as u64;
    }
    check.differences.sort_by_key(ToString::to_string);
    Ok(Checked {
        diff_id,
        differences: check.differences,
        count: check.count,
        entries: number,
    })
}

struct Check<'a> {
    tree: Tree<'a>,
    /// How many entries stand for each inode.
    seen: HashMap<u64, u32>,
    /// Inodes of directories that cover those of lower layers.
    opaque: HashSet<u64>,
    /// Inodes of what may be or not be such a directory.
    either: HashSet<u64>,
    differences: Vec<UnpackError>,
    count: u64,
}

impl Check<'_> {
    fn differs(&mut self, path: &[u8], change: Change) {
        self.count += 1;
        if self.differences.len() < MOST {
            self.differences.push(UnpackError::changed(path, change));
        }
    }

    fn see(&mut self, inode: u64) {
        *self.seen.entry(inode).or_default() += 1;
    }

    fn entry(&mut self, path: &EntryPath, expected: &Expected) -> Result<(), UnpackError> {
        if let Some(marker) = whiteout::marker(path)? {
            return self.marker(path, &marker);
        }
        let name = path.as_bytes();
        let Some((parent, stat)) = self.look(path)? else {
            let is_whiteout =
                expected.kind == Kind::Character && (expected.major, expected.minor) == (0, 0);
            if !is_whiteout || !self.is_covered(path)? {
                self.differs(name, Change::Missing);
            }
            return Ok(());
        };
        self.see(stat.st_ino);
        if expected.is_hidden {
            self.either.insert(stat.st_ino);
        }
        if let Some(change) = difference(&parent, path, expected, &stat, &self.tree)
            .map_err(|errno| UnpackError::system(Operation::Stat, name, errno))?
        {
            self.differs(name, change);
        }
        Ok(())
    }

    /// A whiteout is there, unless the same layer has something of that name.
    fn marker(&mut self, path: &EntryPath, marker: &Marker) -> Result<(), UnpackError> {
        let (directory, _) = path.split();
        let name = match marker {
            Marker::Ignored => return Ok(()),
            Marker::Opaque => {
                let found = self.tree.existing_parent(path).and_then(rustix::fs::fstat);
                match found {
                    Ok(stat) => {
                        self.see(stat.st_ino);
                        self.opaque.insert(stat.st_ino);
                    }
                    Err(_) => self.differs(path.as_bytes(), Change::Missing),
                }
                return Ok(());
            }
            Marker::Hide(name) => name,
        };
        let hidden = match directory {
            b"" => name.clone(),
            directory => [directory, b"/", name].concat(),
        };
        match self.look(&EntryPath::parse(&hidden)?)? {
            Some((_, stat)) => {
                self.see(stat.st_ino);
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    self.opaque.insert(stat.st_ino);
                }
            }
            None if self.is_covered(path)? => {}
            None => self.differs(path.as_bytes(), Change::Missing),
        }
        Ok(())
    }

    /// Whether a whiteout would be in a directory that hides everything, which may be there for it alone.
    fn is_covered(&mut self, path: &EntryPath) -> Result<bool, UnpackError> {
        let failed = |errno| UnpackError::system(Operation::Xattr, path.as_bytes(), errno);
        let is_covered = is_covered(&self.tree, path).map_err(failed)?;
        let parent = self.tree.existing_parent(path);
        if let (true, Ok(stat)) = (is_covered, parent.and_then(rustix::fs::fstat)) {
            self.see(stat.st_ino);
        }
        Ok(is_covered)
    }

    /// What is at a path, and the directory that it is in.
    fn look(&self, path: &EntryPath) -> Result<Option<(OwnedFd, Stat)>, UnpackError> {
        let look = || {
            let parent = self.tree.existing_parent(path)?;
            let (_, name) = path.split();
            let name = if name.is_empty() { b"." } else { name };
            let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok((parent, stat))
        };
        match look() {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(UnpackError::system(Operation::Stat, path.as_bytes(), errno)),
        }
    }

    /// Files that no entry stands for, and directories that cover others though no entry says so. Directories may have no
    /// entry of their own when there is something in them: an archive need not list them.
    fn strangers(&mut self, entries: &HashMap<EntryPath, Expected>) -> Result<(), UnpackError> {
        let mut rest = vec![Vec::new()];
        // By names that no entry has: an entry may lead through a link.
        let mut unnamed = Vec::new();
        while let Some(path) = rest.pop() {
            let failed = |errno| UnpackError::system(Operation::List, &path, errno);
            let directory = self.tree.open_directory(&path).map_err(failed)?;
            let inode = rustix::fs::fstat(&directory).map_err(failed)?.st_ino;
            let mut is_empty = true;
            match (
                is_opaque(&directory).map_err(failed)?,
                self.opaque.contains(&inode),
            ) {
                _ if self.either.contains(&inode) => {}
                (true, false) => self.differs(&join(&path, whiteout::OPAQUE), Change::Extra),
                (false, true) => self.differs(&join(&path, whiteout::OPAQUE), Change::Missing),
                _ => {}
            }
            for entry in Dir::read_from(&directory).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                is_empty = false;
                let child = join(&path, name);
                let stat = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(failed)?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    rest.push(child);
                    continue;
                }
                let is_named =
                    EntryPath::parse(&child).is_ok_and(|path| entries.contains_key(&path));
                match self.seen.get_mut(&stat.st_ino) {
                    Some(names) if is_named => *names = names.saturating_sub(1),
                    Some(_) => unnamed.push((stat.st_ino, child)),
                    None => self.differs(&child, Change::Extra),
                }
            }
            if is_empty && !path.is_empty() && !self.seen.contains_key(&inode) {
                self.differs(&path, Change::Extra);
            }
        }
        // A file has as many names as there are entries for it.
        for (inode, path) in unnamed {
            match self.seen.get_mut(&inode) {
                Some(names) if *names > 0 => *names -= 1,
                _ => self.differs(&path, Change::Extra),
            }
        }
        Ok(())
    }
}

/// How a file differs from its entry, if it does.
fn difference(
    parent: &OwnedFd,
    path: &EntryPath,
    entry: &Expected,
    stat: &Stat,
    tree: &Tree<'_>,
) -> Result<Option<Change>, Errno> {
    let found = FileType::from_raw_mode(stat.st_mode);
    let (_, name) = path.split();
    match entry.kind {
        Kind::HardLink => {
            // Its other attributes are those of what it links to.
            let target = EntryPath::parse(&entry.link).map_err(|_| Errno::INVAL)?;
            let other = tree.existing_parent(&target).and_then(|parent| {
                rustix::fs::statat(&parent, target.split().1, AtFlags::SYMLINK_NOFOLLOW)
            });
            let is_same = target == *path || other.is_ok_and(|o| o.st_ino == stat.st_ino);
            return Ok((!is_same).then_some(Change::Link));
        }
        Kind::Symlink => {
            if found != FileType::Symlink {
                return Ok(Some(Change::Kind));
            }
            let link = rustix::fs::readlinkat(parent, name, Vec::new())?;
            return Ok((link.as_bytes() != &*entry.link).then_some(Change::Link));
        }
        Kind::File | Kind::Directory => {}
        // A whiteout, as overlayfs spells it: what the same layer has under the name wins.
        Kind::Character if (entry.major, entry.minor) == (0, 0) => return Ok(None),
        Kind::Fifo | Kind::Character | Kind::Block => {
            let expected = match entry.kind {
                Kind::Fifo => FileType::Fifo,
                Kind::Block => FileType::BlockDevice,
                _ => FileType::CharacterDevice,
            };
            if found == expected {
                let number = rustix::fs::makedev(entry.major, entry.minor);
                if entry.kind != Kind::Fifo && stat.st_rdev != number {
                    return Ok(Some(Change::Device));
                }
                let is_right = stat.st_mode & 0o7777 == entry.mode;
                return Ok((!is_right).then_some(Change::Mode));
            }
            // A device that could not be made: see `metadata::keep_stat`.
            if found != FileType::RegularFile {
                return Ok(Some(Change::Kind));
            }
            let device = Some((entry.kind, entry.major, entry.minor));
            let is_kept = is_kept(parent, name, |kept| kept.device == device)?;
            return Ok((!is_kept).then_some(Change::Device));
        }
    }
    let expected = match entry.kind {
        Kind::Directory => FileType::Directory,
        _ => FileType::RegularFile,
    };
    if found != expected {
        return Ok(Some(Change::Kind));
    }
    if entry.kind == Kind::File && u64::try_from(stat.st_size) != Ok(entry.size) {
        return Ok(Some(Change::Size));
    }
    if stat.st_mode & 0o7777 != entry.mode {
        return Ok(Some(Change::Mode));
    }
    // File systems differ in how exactly they keep times, and how far back.
    if entry.modified > 0 && entry.modified < i64::from(i32::MAX) && stat.st_mtime != entry.modified
    {
        return Ok(Some(Change::Time));
    }
    let owner = (entry.uid, entry.gid);
    if (stat.st_uid, stat.st_gid) != owner
        && !is_kept(parent, name, |kept| (kept.uid, kept.gid) == owner)?
    {
        return Ok(Some(Change::Owner));
    }
    Ok(None)
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        b"" => name.to_vec(),
        directory => [directory, b"/", name].concat(),
    }
}

/// Whether what the archive says is in the attribute that is for it, or there is no place for such attributes.
fn is_kept(
    parent: &OwnedFd,
    name: &[u8],
    is_right: impl FnOnce(&Kept) -> bool,
) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let name = if name.is_empty() { b"." } else { name };
    let file = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    match kept_stat(file.as_fd())? {
        Some(kept) => Ok(is_right(&kept)),
        None => {
            let probe = rustix::fs::fgetxattr(&file, super::OVERRIDE_STAT, &mut [0; 1]);
            Ok(probe == Err(Errno::OPNOTSUPP))
        }
    }
}
