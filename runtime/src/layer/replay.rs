//! A layer's archive once more, from its recording and its files.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::error::{Change, Operation, UnpackError};
use super::path::EntryPath;
use super::recording::{Recording, Segment};
use super::tree::{Manner, Tree};
use crate::image::{Digest, Hasher};

const PIECE: usize = 256 * 1024;

/// Writes the archive that was unpacked into `root` to `out`, hashing on the way.
///
/// # Errors
/// A file is gone or has another size, the recording is damaged, or `out` takes no more. A content that has changed and
/// kept its size gives another digest.
pub(super) fn replay(
    root: BorrowedFd<'_>,
    recording: impl Read,
    out: impl Write,
) -> Result<(Digest, u64), UnpackError> {
    let mut recording = Recording::open(recording)?;
    let tree = Tree::new(root, Manner::Layer);
    let mut out = Counted::new(out);
    let mut buffer = vec![0; PIECE];
    while let Some(segment) = recording.next()? {
        match segment {
            Segment::Raw(bytes) => out.write(&bytes)?,
            Segment::Content { path, size } => {
                let mut file = open(&tree, &path, size)?;
                let mut rest = size;
                while rest > 0 {
                    let most = usize::try_from(rest).unwrap_or(PIECE).min(PIECE);
                    let count = file
                        .read(&mut buffer[..most])
                        .map_err(|error| failed(&path, &error))?;
                    if count == 0 {
                        return Err(UnpackError::changed(&path, Change::Size));
                    }
                    out.write(&buffer[..count])?;
                    rest -= count as u64;
                }
            }
        }
    }
    out.finish()
}

fn open(tree: &Tree<'_>, path: &[u8], size: u64) -> Result<File, UnpackError> {
    let entry = EntryPath::parse(path)?;
    let changed = |change| UnpackError::changed(path, change);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = tree
        .existing_parent(&entry)
        .and_then(|parent| rustix::fs::openat(parent, entry.split().1, flags, Mode::empty()));
    let file = match opened {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(changed(Change::Missing)),
        Err(Errno::LOOP) => return Err(changed(Change::Kind)),
        Err(errno) => return Err(UnpackError::system(Operation::Open, path, errno)),
    };
    let stat = rustix::fs::fstat(&file)
        .map_err(|errno| UnpackError::system(Operation::Stat, path, errno))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(changed(Change::Kind));
    }
    if u64::try_from(stat.st_size) != Ok(size) {
        return Err(changed(Change::Size));
    }
    Ok(file.into())
}

fn failed(path: &[u8], error: &io::Error) -> UnpackError {
    let errno = Errno::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO));
    UnpackError::system(Operation::ReadFile, path, errno)
}

/// A writer that knows what has passed.
pub(super) struct Counted<W> {
    out: W,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> Counted<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            hasher: Hasher::default(),
            size: 0,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), UnpackError> {
        self.write_all(bytes).map_err(|error| not_taken(&error))
    }

    pub(super) fn finish(mut self) -> Result<(Digest, u64), UnpackError> {
        self.out.flush().map_err(|error| not_taken(&error))?;
        Ok((self.hasher.finish(), self.size))
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

pub(super) fn not_taken(error: &io::Error) -> UnpackError {
    UnpackError::Write {
        reason: error.to_string(),
    }
}
