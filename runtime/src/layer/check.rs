//! Whether a layer's tree is what was unpacked: every content by the diff ID of the archive made again, and everything
//! else an archive says of a file by a look at it.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek, SeekFrom, sink};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::entry::{Archive, Entry, Input, Kind};
use super::error::{Change, Operation, UnpackError};
use super::metadata::kept_stat;
use super::path::EntryPath;
use super::recording::{Recording, Segment};
use super::replay::replay;
use super::tree::Tree;
use super::unpack::Limits;
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
        tree: Tree::new(root),
        seen: HashSet::new(),
        differences: Vec::new(),
        count: 0,
    };
    let entries = entries(Recording::open(recording)?)?;
    let number = entries.len() as u64;
    for entry in entries.values() {
        check.entry(entry)?;
    }
    check.strangers()?;
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

/// The archive's entries by their paths: the last of a path is the one that counts.
fn entries(recording: Recording<'_>) -> Result<HashMap<Vec<u8>, Entry>, UnpackError> {
    let input = Segments {
        recording,
        raw: Vec::new(),
        taken: 0,
        content: 0,
    };
    let mut archive = Archive::new(input, Limits::default());
    let mut all = HashMap::new();
    while let Some(entry) = archive.next()? {
        // A file linked to itself is what it was, if it was at all; a whiteout is one of any kind.
        let is_itself = |target: EntryPath| target == entry.path;
        if entry.kind == Kind::HardLink
            && EntryPath::parse(&entry.link).is_ok_and(is_itself)
            && whiteout::marker(&entry.path)?.is_none()
        {
            continue;
        }
        all.insert(entry.path.as_bytes().to_vec(), entry);
    }
    Ok(all)
}

/// A recording as an archive whose contents are not there, and are passed over.
struct Segments<'a> {
    recording: Recording<'a>,
    raw: Vec<u8>,
    /// Bytes of `raw` that are used up.
    taken: usize,
    /// Bytes of a content that are left.
    content: u64,
}

impl Segments<'_> {
    /// Whether there is more to take.
    fn fill(&mut self) -> Result<bool, UnpackError> {
        while self.taken == self.raw.len() && self.content == 0 {
            match self.recording.next()? {
                None => return Ok(false),
                Some(Segment::Raw(raw)) => (self.raw, self.taken) = (raw, 0),
                Some(Segment::Content { size, .. }) => self.content = size,
            }
        }
        Ok(true)
    }
}

impl Input for Segments<'_> {
    fn read(&mut self, target: &mut [u8]) -> Result<usize, UnpackError> {
        let mut done = 0;
        while done < target.len() && self.fill()? && self.content == 0 {
            let count = (target.len() - done).min(self.raw.len() - self.taken);
            target[done..done + count].copy_from_slice(&self.raw[self.taken..self.taken + count]);
            done += count;
            self.taken += count;
        }
        Ok(done)
    }

    fn skip(&mut self, mut count: u64) -> Result<bool, UnpackError> {
        while count > 0 {
            if !self.fill()? {
                return Ok(false);
            }
            if self.taken < self.raw.len() {
                let there = self.raw.len() - self.taken;
                let now = usize::try_from(count).unwrap_or(there).min(there);
                self.taken += now;
                count -= now as u64;
            } else {
                let now = count.min(self.content);
                self.content -= now;
                count -= now;
            }
        }
        Ok(true)
    }
}

struct Check<'a> {
    tree: Tree<'a>,
    /// Inodes of everything that an entry stands for.
    seen: HashSet<u64>,
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

    fn entry(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        let path = entry.path.as_bytes();
        if let Some(marker) = whiteout::marker(&entry.path)? {
            return self.marker(&entry.path, &marker);
        }
        let Some((parent, stat)) = self.look(&entry.path)? else {
            self.differs(path, Change::Missing);
            return Ok(());
        };
        self.seen.insert(stat.st_ino);
        if let Some(change) = difference(&parent, entry, &stat, &self.tree)
            .map_err(|errno| UnpackError::system(Operation::Stat, path, errno))?
        {
            self.differs(path, change);
        }
        Ok(())
    }

    /// A whiteout is there, unless the same layer has something of that name.
    fn marker(&mut self, path: &EntryPath, marker: &Marker) -> Result<(), UnpackError> {
        let Marker::Hide(name) = marker else {
            return Ok(());
        };
        let (directory, _) = path.split();
        let hidden = match directory {
            b"" => name.clone(),
            directory => [directory, b"/", name].concat(),
        };
        match self.look(&EntryPath::parse(&hidden)?)? {
            Some((_, stat)) => {
                self.seen.insert(stat.st_ino);
            }
            None => self.differs(path.as_bytes(), Change::Missing),
        }
        Ok(())
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

    /// Files that no entry stands for. Directories may have none: an archive need not list them.
    fn strangers(&mut self) -> Result<(), UnpackError> {
        let mut rest = vec![Vec::new()];
        while let Some(path) = rest.pop() {
            let failed = |errno| UnpackError::system(Operation::List, &path, errno);
            let directory = self.tree.open_directory(&path).map_err(failed)?;
            for entry in Dir::read_from(&directory).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                let child = match &path[..] {
                    b"" => name.to_vec(),
                    path => [path, b"/", name].concat(),
                };
                let stat = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(failed)?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    rest.push(child);
                } else if !self.seen.contains(&stat.st_ino) {
                    self.differs(&child, Change::Extra);
                }
            }
        }
        Ok(())
    }
}

/// How a file differs from its entry, if it does.
fn difference(
    parent: &OwnedFd,
    entry: &Entry,
    stat: &Stat,
    tree: &Tree<'_>,
) -> Result<Option<Change>, Errno> {
    let found = FileType::from_raw_mode(stat.st_mode);
    let (_, name) = entry.path.split();
    match entry.kind {
        Kind::HardLink => {
            // Its other attributes are those of what it links to.
            let target = EntryPath::parse(&entry.link).map_err(|_| Errno::INVAL)?;
            let other = tree.existing_parent(&target).and_then(|parent| {
                rustix::fs::statat(&parent, target.split().1, AtFlags::SYMLINK_NOFOLLOW)
            });
            let is_same = target == entry.path || other.is_ok_and(|o| o.st_ino == stat.st_ino);
            return Ok((!is_same).then_some(Change::Link));
        }
        Kind::Symlink => {
            if found != FileType::Symlink {
                return Ok(Some(Change::Kind));
            }
            let link = rustix::fs::readlinkat(parent, name, Vec::new())?;
            return Ok((link.as_bytes() != entry.link).then_some(Change::Link));
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
                let is_right = stat.st_mode & 0o7777 == entry.mode;
                return Ok((!is_right).then_some(Change::Mode));
            }
            // A device that could not be made: see `metadata::keep_stat`.
            return Ok((found != FileType::RegularFile).then_some(Change::Kind));
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
    if entry.mtime.seconds > 0
        && entry.mtime.seconds < i64::from(i32::MAX)
        && stat.st_mtime != entry.mtime.seconds
    {
        return Ok(Some(Change::Time));
    }
    if (stat.st_uid, stat.st_gid) != (entry.uid, entry.gid) && !is_kept(parent, name, entry)? {
        return Ok(Some(Change::Owner));
    }
    Ok(None)
}

/// Whether the archive's owner is in the attribute that is for it, or there is no place for such attributes.
fn is_kept(parent: &OwnedFd, name: &[u8], entry: &Entry) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let name = if name.is_empty() { b"." } else { name };
    let file = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    match kept_stat(file.as_fd())? {
        Some(kept) => Ok((kept.uid, kept.gid) == (entry.uid, entry.gid)),
        None => {
            let probe = rustix::fs::fgetxattr(&file, super::OVERRIDE_STAT, &mut [0; 1]);
            Ok(probe == Err(Errno::OPNOTSUPP))
        }
    }
}
