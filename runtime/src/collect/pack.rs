//! What was chosen, as a compressed archive.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::error::{CollectError, TooMuch};
use super::forbidden::Forbidden;
use super::{apart, open};
use crate::image::{Digest, Hasher};
use crate::layer::{Entry, EntryPath, Kind, Time, Writer};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// Files, directories and links in the archive.
    pub files: u64,
    /// Bytes of the files' contents.
    pub bytes: u64,
    /// Bytes of the archive.
    pub size: u64,
    /// Of the archive.
    pub digest: Digest,
}

/// How much may be collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Bytes of all contents together.
    pub bytes: u64,
    /// Bytes of the archive.
    pub size: u64,
    /// Files, directories and links.
    pub files: u64,
}

/// Writes what is at these paths, in their order, as a gzipped tar archive: owned by root, without attributes and special
/// permissions, of the same bytes for the same files with the same times. What is no file, directory or link is left out.
///
/// # Errors
/// A path cannot be read, there is more than there may be, or `out` takes no more.
pub(crate) fn pack(
    root: BorrowedFd<'_>,
    paths: &[u8],
    bounds: Bounds,
    out: impl Write,
) -> Result<Collected, CollectError> {
    // Neither a name nor a time in the header: the same files make the same bytes.
    let out = GzBuilder::new().write(Bounded::new(out, bounds), Compression::default());
    let mut packing = Packing::new(out, bounds, Keep::ForAnyone, Forbidden::read(&[]));
    packing.enter(root, String::new());
    for path in apart(paths) {
        packing.add(path)?;
    }
    packing.finish(GzEncoder::finish)
}

/// What of a file is kept beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// What every reader understands: times in seconds, and root as the owner.
    ForAnyone,
    /// The owner and the exact time.
    Everything,
}

/// The archive has more bytes than it may.
#[derive(Debug, thiserror::Error)]
#[error("the archive is too large")]
struct TooLarge;

pub(super) fn not_taken(error: &io::Error, bounds: Bounds) -> CollectError {
    match error.get_ref().is_some_and(|inner| inner.is::<TooLarge>()) {
        true => CollectError::TooMuch {
            what: TooMuch::Bytes,
            limit: bounds.size,
        },
        false => CollectError::write(error),
    }
}

/// Takes so many bytes and no more.
pub(super) struct Bounded<W: Write> {
    out: io::BufWriter<W>,
    hasher: Hasher,
    size: u64,
    most: u64,
}

impl<W: Write> Bounded<W> {
    pub(super) fn new(out: W, bounds: Bounds) -> Self {
        Self {
            out: io::BufWriter::with_capacity(256 << 10, out),
            hasher: Hasher::default(),
            size: 0,
            most: bounds.size,
        }
    }
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size.saturating_add(bytes.len() as u64) > self.most {
            return Err(io::Error::other(TooLarge));
        }
        let count = self.out.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// An archive that is being made of the files of one directory after the other.
pub(super) struct Packing<'r, W: Write> {
    /// Whose files come now, and what their names begin with.
    root: Option<(BorrowedFd<'r>, String)>,
    writer: Writer<W>,
    /// The first name of each file that has several, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
    bounds: Bounds,
    keep: Keep,
    forbidden: Forbidden,
    files: u64,
    bytes: u64,
}

impl<'r, W: Write> Packing<'r, W> {
    pub(super) fn new(out: W, bounds: Bounds, keep: Keep, forbidden: Forbidden) -> Self {
        Self {
            root: None,
            writer: Writer::new(out),
            links: HashMap::new(),
            buffer: vec![0; 256 << 10],
            bounds,
            keep,
            forbidden,
            files: 0,
            bytes: 0,
        }
    }

    /// The files of a directory come, under a name of its own that is not empty where there are several.
    pub(super) fn enter(&mut self, root: BorrowedFd<'r>, name: String) {
        self.root = Some((root, name));
        // A link from one to the other could not be made again.
        self.links.clear();
    }

    /// All is in it.
    pub(super) fn finish<O: Write>(
        self,
        end: impl FnOnce(W) -> io::Result<Bounded<O>>,
    ) -> Result<Collected, CollectError> {
        let (files, bytes, bounds) = (self.files, self.bytes, self.bounds);
        let written = |error: io::Error| not_taken(&error, bounds);
        let out = self.writer.finish().map_err(written)?;
        let mut out = end(out).map_err(written)?;
        out.flush().map_err(written)?;
        Ok(Collected {
            files,
            bytes,
            size: out.size,
            digest: out.hasher.finish(),
        })
    }

    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        match &self.root {
            Some((root, _)) => open(*root, path, flags),
            None => Err(Errno::BADF),
        }
    }

    /// What a path is called in the archive.
    fn name(&self, path: &[u8]) -> Vec<u8> {
        match &self.root {
            Some((_, name)) if !name.is_empty() && path.is_empty() => name.clone().into_bytes(),
            Some((_, name)) if !name.is_empty() => [name.as_bytes(), b"/", path].concat(),
            _ => path.to_vec(),
        }
    }

    /// Looks at something that will be in the archive.
    fn check(&mut self, path: &[u8], bytes: &[u8]) -> Result<(), CollectError> {
        match self.forbidden.is_in(bytes) {
            false => Ok(()),
            true => Err(CollectError::Forbidden {
                path: crate::layer::printable(path),
            }),
        }
    }

    /// Adds one file, directory or link.
    pub(super) fn add(&mut self, path: &[u8]) -> Result<(), CollectError> {
        let failed =
            |operation: &'static str| move |errno| CollectError::system(operation, path, errno);
        let at = self.open(path, OFlags::PATH).map_err(failed("open"))?;
        let stat = rustix::fs::fstat(&at).map_err(failed("look at"))?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            _ => return Ok(()),
        };
        self.files += 1;
        if self.files > self.bounds.files {
            return Err(CollectError::TooMuch {
                what: TooMuch::Files,
                limit: self.bounds.files,
            });
        }
        match kind {
            Kind::File => self.file(path, &stat),
            Kind::Symlink => {
                let link =
                    rustix::fs::readlinkat(&at, "", Vec::new()).map_err(failed("read the link"))?;
                self.entry(path, kind, &stat, link.into_bytes(), 0)
            }
            _ => self.entry(path, kind, &stat, Vec::new(), 0),
        }
    }

    fn file(&mut self, path: &[u8], stat: &Stat) -> Result<(), CollectError> {
        let identity = (stat.st_dev, stat.st_ino);
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&identity) {
                let first = first.clone();
                return self.entry(path, Kind::HardLink, stat, first, 0);
            }
            self.links.insert(identity, path.to_vec());
        }
        let file = self
            .open(path, OFlags::RDONLY | OFlags::NONBLOCK)
            .map_err(|errno| CollectError::system("open", path, errno))?;
        let file = File::from(file);
        let changed = || CollectError::Changed {
            path: crate::layer::printable(path),
        };
        // What was looked at is what is read.
        let stat = rustix::fs::fstat(file.as_fd())
            .map_err(|errno| CollectError::system("look at", path, errno))?;
        if (stat.st_dev, stat.st_ino) != identity {
            return Err(changed());
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.bounds.bytes {
            return Err(CollectError::TooMuch {
                what: TooMuch::Bytes,
                limit: self.bounds.bytes,
            });
        }
        self.entry(path, Kind::File, &stat, Vec::new(), size)?;
        self.forbidden.begin();
        let mut rest = size;
        while rest > 0 {
            let most = usize::try_from(rest)
                .unwrap_or(usize::MAX)
                .min(self.buffer.len());
            let count =
                rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut self.buffer[..most]))
                    .map_err(|errno| CollectError::system("read", path, errno))?;
            if count == 0 {
                return Err(changed());
            }
            if self.forbidden.is_in(&self.buffer[..count]) {
                return Err(CollectError::Forbidden {
                    path: crate::layer::printable(path),
                });
            }
            self.writer
                .content(&self.buffer[..count])
                .map_err(|error| not_taken(&error, self.bounds))?;
            rest -= count as u64;
        }
        self.writer
            .end_content(size)
            .map_err(|error| not_taken(&error, self.bounds))
    }

    fn entry(
        &mut self,
        path: &[u8],
        kind: Kind,
        stat: &Stat,
        link: Vec<u8>,
        size: u64,
    ) -> Result<(), CollectError> {
        for text in [path, &link[..]] {
            self.forbidden.begin();
            self.check(path, text)?;
        }
        let name = EntryPath::parse(&self.name(path)).map_err(|error| CollectError::Write {
            reason: error.to_string(),
        })?;
        let link = match kind {
            Kind::HardLink => self.name(&link),
            _ => link,
        };
        let (uid, gid, nanoseconds) = match self.keep {
            // Parts of a second would need a record for each file, and few readers keep them.
            Keep::ForAnyone => (0, 0, 0),
            Keep::Everything => (
                stat.st_uid,
                stat.st_gid,
                u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            ),
        };
        let entry = Entry {
            path: name,
            kind,
            link,
            mode: stat.st_mode & 0o777,
            uid,
            gid,
            size,
            mtime: Time {
                seconds: stat.st_mtime,
                nanoseconds,
            },
            major: 0,
            minor: 0,
            xattrs: Vec::new(),
        };
        self.writer
            .entry(&entry)
            .map_err(|error| not_taken(&error, self.bounds))
    }
}
