//! What `COPY` takes: files of a directory as an archive, for [`super::place`] to put elsewhere.
//!
//! ```text
//! f/NAME     a source that is no directory
//! d/PATH     what is in a source that is one; `d/` is itself
//! ```
//!
//! The directory is a stranger's: every path is resolved with it as the root (`openat2(2)`, `RESOLVE_IN_ROOT`), so that a link in
//! it, absolute or not, leads nowhere else. A source itself may be a link; links inside of directories are taken as links.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Kind};
use super::pack::describe;
use super::pax::Time;
use super::rules::{Rules, is_pattern, name_matches, names};
use super::transfer_error::TransferError;
use super::writer::Writer;

/// Of what one instruction copies.
const MOST_BYTES: u64 = 32 << 30;
const MOST_ENTRIES: u64 = 1 << 20;
/// Links on the way to a source.
const FLAGS: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// What is to be taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Paths and patterns, from the root.
    pub sources: Vec<String>,
    /// What is not there, whatever the sources say (`.dockerignore`).
    pub ignored: Rules,
    /// The same, by paths from the source (`--exclude`).
    pub excluded: Rules,
    /// Directories on the way to a source come too.
    pub parents: bool,
    /// Everything is root's; otherwise its owner stays.
    pub of_root: bool,
    /// Permission bits of everything.
    pub mode: Option<u32>,
    /// Times stay; otherwise there are none, so that the same content is the same archive.
    pub times: bool,
}

/// What was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gathered {
    /// Files, directories and links, without the sources' own directories.
    pub entries: u64,
    /// Of the files, bytes.
    pub bytes: u64,
    /// Sources, patterns as what they match.
    pub sources: usize,
}

/// Writes the archive of what is selected below `root`.
///
/// # Errors
/// A source is not there, something cannot be read, or it is too much.
pub fn gather(
    root: BorrowedFd<'_>,
    selection: &Selection,
    out: impl Write,
) -> Result<Gathered, TransferError> {
    let mut gather = Gather {
        root,
        selection,
        writer: Writer::new(out),
        done: Gathered::default(),
        buffer: vec![0; 256 * 1024],
    };
    for source in &selection.sources {
        let paths = gather.matches(source)?;
        if paths.is_empty() {
            return Err(TransferError::Missing {
                path: source.clone(),
            });
        }
        for path in paths {
            gather.source(&path, source)?;
        }
    }
    let done = gather.done;
    gather.writer.finish().map_err(TransferError::write)?;
    Ok(done)
}

struct Gather<'a, W: Write> {
    root: BorrowedFd<'a>,
    selection: &'a Selection,
    writer: Writer<W>,
    done: Gathered,
    buffer: Vec<u8>,
}

impl<W: Write> Gather<'_, W> {
    /// The paths that a source stands for, without those that are not to be seen.
    fn matches(&self, source: &str) -> Result<BTreeSet<Vec<u8>>, TransferError> {
        let mut found = BTreeSet::from([Vec::new()]);
        for name in names(source) {
            let mut next = BTreeSet::new();
            for directory in found {
                if !is_pattern(&name) {
                    next.insert(join(&directory, name.as_bytes()));
                    continue;
                }
                for (child, _) in self.list(&directory)? {
                    if name_matches(name.as_bytes(), &child) {
                        next.insert(join(&directory, &child));
                    }
                }
            }
            found = next;
        }
        let is_plain = !names(source).iter().any(|name| is_pattern(name));
        let ignored = &self.selection.ignored;
        found.retain(|path| {
            let is_hidden = !path.is_empty() && ignored.has(path);
            if is_hidden && !(ignored.takes_back() && self.is_directory(path)) {
                return false;
            }
            is_plain || self.open(path, OFlags::PATH).is_ok()
        });
        Ok(found)
    }

    fn source(&mut self, path: &[u8], source: &str) -> Result<(), TransferError> {
        let missing = || TransferError::Missing {
            path: source.to_owned(),
        };
        let stat = match self.stat(path) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Err(missing()),
            result => result.map_err(|errno| TransferError::system("look at", path, errno))?,
        };
        self.done.sources += 1;
        let parents = self.selection.parents;
        if parents {
            let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            for end in slashes.map(|(at, _)| at).collect::<Vec<_>>() {
                self.directory_entry(&path[..end], &join(b"d", &path[..end]))?;
            }
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let to = if parents {
                join(b"d", path)
            } else {
                b"d".to_vec()
            };
            return self.tree(path, &to);
        }
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        if !self.selection.excluded.is_empty() && self.selection.excluded.has(name) {
            return Ok(());
        }
        let to = if parents {
            join(b"d", path)
        } else {
            join(b"f", name)
        };
        self.leaf(path, &to, &stat)
    }

    /// A directory and all in it, under another name.
    fn tree(&mut self, path: &[u8], to: &[u8]) -> Result<(), TransferError> {
        self.directory_entry(path, to)?;
        // Directories that come only if something in them does, from above.
        let mut rest = vec![(path.to_vec(), Vec::new(), Vec::new())];
        while let Some((directory, below, waiting)) = rest.pop() {
            let mut waiting: Vec<Vec<u8>> = waiting;
            let mut deeper = Vec::new();
            for (name, kind) in self.list(&directory)? {
                let (child, relative) = (join(&directory, &name), join(&below, &name));
                let is_hidden = |rules: &Rules, path: &[u8]| !rules.is_empty() && rules.has(path);
                let Selection {
                    ignored, excluded, ..
                } = self.selection;
                let hidden = is_hidden(ignored, &child) || is_hidden(excluded, &relative);
                let is_directory = kind == FileType::Directory;
                if hidden {
                    if is_directory && (ignored.takes_back() || excluded.takes_back()) {
                        let mut more = waiting.clone();
                        more.push(relative.clone());
                        deeper.push((child, relative, more));
                    }
                    continue;
                }
                for missing in std::mem::take(&mut waiting) {
                    let from = join(path, &missing);
                    self.directory_entry(&from, &join(to, &missing))?;
                }
                if is_directory {
                    self.directory_entry(&child, &join(to, &relative))?;
                    deeper.push((child, relative, Vec::new()));
                } else {
                    let stat = self.stat_of_link(&directory, &name, &child)?;
                    self.leaf(&child, &join(to, &relative), &stat)?;
                }
            }
            rest.extend(deeper.into_iter().rev());
        }
        Ok(())
    }

    fn directory_entry(&mut self, path: &[u8], to: &[u8]) -> Result<(), TransferError> {
        let failed = |errno| TransferError::system("look at", path, errno);
        let directory = self
            .open(path, OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(failed)?;
        let stat = rustix::fs::fstat(&directory).map_err(failed)?;
        let entry = describe(to, &stat, Some(directory.as_fd()), Vec::new())?;
        self.write(entry)
    }

    /// What is no directory.
    fn leaf(&mut self, path: &[u8], to: &[u8], stat: &Stat) -> Result<(), TransferError> {
        let failed = |operation| move |errno| TransferError::system(operation, path, errno);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK;
                let file: File = self.open(path, flags).map_err(failed("read"))?.into();
                let stat = rustix::fs::fstat(&file).map_err(failed("look at"))?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                    return Err(failed("read")(Errno::AGAIN));
                }
                let entry = describe(to, &stat, Some(file.as_fd()), Vec::new())?;
                let size = entry.size;
                self.write(entry)?;
                self.content(&file, size, path)
            }
            FileType::Symlink => {
                let (parent, name) = split(path);
                let parent = self.open(parent, OFlags::PATH).map_err(failed("read"))?;
                let link = rustix::fs::readlinkat(&parent, name, Vec::new());
                let link = link.map_err(failed("read"))?.into_bytes();
                let entry = describe(to, stat, None, link)?;
                self.write(entry)
            }
            FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice
                if !self.selection.of_root =>
            {
                let entry = describe(to, stat, None, Vec::new())?;
                self.write(entry)
            }
            // Nobody means the machine's sockets and devices.
            _ => Ok(()),
        }
    }

    fn write(&mut self, mut entry: Entry) -> Result<(), TransferError> {
        if entry.path.as_bytes() != b"d" {
            self.done.entries += 1;
        }
        self.done.bytes += entry.size;
        if self.done.entries > MOST_ENTRIES || self.done.bytes > MOST_BYTES {
            return Err(TransferError::TooMuch {
                entries: MOST_ENTRIES,
                bytes: MOST_BYTES,
            });
        }
        if self.selection.of_root {
            (entry.uid, entry.gid) = (0, 0);
            entry.xattrs.clear();
        }
        if let Some(mode) = self.selection.mode {
            entry.mode = mode;
        }
        if !self.selection.times {
            entry.mtime = Time {
                seconds: 0,
                nanoseconds: 0,
            };
        }
        if entry.kind == Kind::Symlink {
            entry.mode = 0o777;
        }
        self.writer.entry(&entry).map_err(TransferError::write)
    }

    fn content(&mut self, file: &File, size: u64, path: &[u8]) -> Result<(), TransferError> {
        let mut rest = size;
        while rest > 0 {
            let most = usize::try_from(rest)
                .unwrap_or(usize::MAX)
                .min(self.buffer.len());
            let read = || rustix::io::read(file, &mut self.buffer[..most]);
            let count = rustix::io::retry_on_intr(read)
                .map_err(|errno| TransferError::system("read", path, errno))?;
            if count == 0 {
                return Err(TransferError::Changed {
                    path: String::from_utf8_lossy(path).into_owned(),
                });
            }
            self.writer
                .content(&self.buffer[..count])
                .map_err(TransferError::write)?;
            rest -= count as u64;
        }
        self.writer.end_content(size).map_err(TransferError::write)
    }

    /// What is in a directory, sorted, so that the same tree is the same archive.
    fn list(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, FileType)>, TransferError> {
        let failed = |errno| TransferError::system("list", path, errno);
        let directory = match self.open(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOTDIR | Errno::NOENT) => return Ok(Vec::new()),
            result => result.map_err(failed)?,
        };
        let mut found = Vec::new();
        for entry in Dir::read_from(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes().to_vec();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let stat = self.stat_of_link(path, &name, &join(path, &name))?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                kind => kind,
            };
            found.push((name, kind));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        // EAGAIN: a rename elsewhere on the machine raced with a `..` in a link (openat2(2)).
        for _ in 0..64 {
            let flags = flags | OFlags::CLOEXEC;
            match rustix::fs::openat2(self.root, path, flags, Mode::empty(), FLAGS) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }

    fn stat(&self, path: &[u8]) -> Result<Stat, Errno> {
        rustix::fs::fstat(self.open(path, OFlags::PATH)?)
    }

    fn stat_of_link(
        &self,
        directory: &[u8],
        name: &[u8],
        path: &[u8],
    ) -> Result<Stat, TransferError> {
        let parent = self.open(directory, OFlags::PATH);
        parent
            .and_then(|parent| {
                rustix::fs::statat(parent, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            })
            .map_err(|errno| TransferError::system("look at", path, errno))
    }

    fn is_directory(&self, path: &[u8]) -> bool {
        let stat = self.stat(path);
        stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match (directory, name) {
        (b"", name) => name.to_vec(),
        (directory, b"") => directory.to_vec(),
        (directory, name) => [directory, b"/", name].concat(),
    }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests;
