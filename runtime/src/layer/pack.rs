//! A layer's tree as an archive: what was unpacked, to the last bit, where that was recorded; else what there is on the
//! disk, in an archive of its own.
//!
//! | on the disk | in the archive |
//! |---|---|
//! | a character device 0/0 | `.wh.NAME` |
//! | `user.overlay.opaque=y` | `.wh..wh..opq` in the directory |
//! | [`OVERRIDE_STAT`] | the owner, mode and type that it says |

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Kind};
use super::error::{Operation, UnpackError};
use super::metadata::{Kept, attributes, kept_stat};
use super::opaque::is_opaque;
use super::path::EntryPath;
use super::pax::Time;
use super::replay::{Counted, not_taken, replay};
use super::tree::{Manner, Tree};
use super::writer::Writer;
use crate::image::Digest;

/// What came of packing a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Of the archive: the diff ID.
    pub diff_id: Digest,
    /// Of the archive, bytes.
    pub size: u64,
}

/// Writes the archive of the layer in `root`. Meant for a process in the container's user namespace, as for
/// [`super::unpack`].
///
/// # Errors
/// The tree cannot be read or is not what was recorded, or `out` takes no more.
pub fn pack(
    root: BorrowedFd<'_>,
    recording: Option<impl Read>,
    out: impl Write,
) -> Result<Packed, UnpackError> {
    let out = std::io::BufWriter::with_capacity(256 * 1024, out);
    let (diff_id, size) = match recording {
        Some(recording) => replay(root, recording, out)?,
        None => walk(root, out, &[])?,
    };
    Ok(Packed { diff_id, size })
}

/// Writes the archive of what was written to a container's root, whose upper layer is `root`, without what is at these paths; a
/// directory that is nothing but on the way to them is left out, too.
///
/// # Errors
/// As [`pack`].
pub(crate) fn pack_changes(
    root: BorrowedFd<'_>,
    left_out: &[&str],
    out: impl Write,
) -> Result<Packed, UnpackError> {
    let out = std::io::BufWriter::with_capacity(256 * 1024, out);
    let (diff_id, size) = walk(root, out, left_out)?;
    Ok(Packed { diff_id, size })
}

fn walk(
    root: BorrowedFd<'_>,
    out: impl Write,
    left_out: &[&str],
) -> Result<(Digest, u64), UnpackError> {
    let mut walk = Walk {
        left_out,
        tree: Tree::new(root, Manner::Layer),
        writer: Writer::new(Counted::new(out)),
        links: HashMap::new(),
        buffer: vec![0; 256 * 1024],
    };
    // Paths and not descriptors: a tree may be deeper than there are of those.
    let mut rest = vec![Vec::new()];
    while let Some(path) = rest.pop() {
        walk.directory(&path, &mut rest)?;
    }
    walk.writer
        .finish()
        .map_err(|error| not_taken(&error))?
        .finish()
}

struct Walk<'a, W: Write> {
    /// Paths that are none of the layer's.
    left_out: &'a [&'a str],
    tree: Tree<'a>,
    writer: Writer<Counted<W>>,
    /// The first name of each file that has several, by inode.
    links: HashMap<u64, Vec<u8>>,
    buffer: Vec<u8>,
}

impl<W: Write> Walk<'_, W> {
    /// Writes a directory and everything in it but for further directories, which are added to `rest`.
    fn directory(&mut self, path: &[u8], rest: &mut Vec<Vec<u8>>) -> Result<(), UnpackError> {
        let failed = |operation| move |errno| UnpackError::system(operation, path, errno);
        let directory = self
            .tree
            .open_directory(path)
            .map_err(failed(Operation::Open))?;
        let stat = rustix::fs::fstat(&directory).map_err(failed(Operation::Stat))?;
        let mut names = names(&directory).map_err(failed(Operation::List))?;
        let all = names.len();
        names.retain(|name| !self.is_left_out(&join(path, name)));
        let is_on_the_way = !path.is_empty() && all > 0 && names.is_empty();
        if is_on_the_way && !is_opaque(&directory).map_err(failed(Operation::Xattr))? {
            return Ok(());
        }
        let entry = describe(path, &stat, Some(directory.as_fd()), Vec::new())?;
        self.write(&entry)?;
        if is_opaque(&directory).map_err(failed(Operation::Xattr))? {
            self.marker(path, b".wh..wh..opq")?;
        }
        let mut below = Vec::new();
        for name in names {
            let child = join(path, &name);
            let stat = rustix::fs::statat(&directory, &name[..], AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| UnpackError::system(Operation::Stat, &child, errno))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => below.push(child),
                FileType::RegularFile => self.file(&directory, &name, &child, &stat)?,
                FileType::CharacterDevice if stat.st_rdev == 0 => {
                    self.marker(path, &[b".wh.", &name[..]].concat())?;
                }
                // No archive has them.
                FileType::Socket => {}
                FileType::Symlink => {
                    let link = rustix::fs::readlinkat(&directory, &name[..], Vec::new())
                        .map_err(|errno| UnpackError::system(Operation::Open, &child, errno))?;
                    let entry = describe(&child, &stat, None, link.into_bytes())?;
                    self.write(&entry)?;
                }
                _ => {
                    let entry = describe(&child, &stat, None, Vec::new())?;
                    self.write(&entry)?;
                }
            }
        }
        rest.extend(below.into_iter().rev());
        Ok(())
    }

    fn is_left_out(&self, path: &[u8]) -> bool {
        self.left_out.iter().any(|other| other.as_bytes() == path)
    }

    fn file(
        &mut self,
        directory: &OwnedFd,
        name: &[u8],
        path: &[u8],
        stat: &Stat,
    ) -> Result<(), UnpackError> {
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&stat.st_ino) {
                let link = first.clone();
                let mut entry = describe(path, stat, None, link)?;
                entry.kind = Kind::HardLink;
                entry.size = 0;
                return self.write(&entry);
            }
            self.links.insert(stat.st_ino, path.to_vec());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file: File = rustix::fs::openat(directory, name, flags, Mode::empty())
            .map_err(|errno| UnpackError::system(Operation::Open, path, errno))?
            .into();
        let entry = describe(path, stat, Some(file.as_fd()), Vec::new())?;
        self.write(&entry)?;
        let mut rest = entry.size;
        while rest > 0 {
            let most = usize::try_from(rest)
                .unwrap_or(usize::MAX)
                .min(self.buffer.len());
            let count =
                rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut self.buffer[..most]))
                    .map_err(|errno| UnpackError::system(Operation::ReadFile, path, errno))?;
            if count == 0 {
                return Err(UnpackError::changed(path, super::Change::Size));
            }
            self.writer
                .content(&self.buffer[..count])
                .map_err(|error| not_taken(&error))?;
            rest -= count as u64;
        }
        self.writer
            .end_content(entry.size)
            .map_err(|error| not_taken(&error))
    }

    fn marker(&mut self, directory: &[u8], name: &[u8]) -> Result<(), UnpackError> {
        let entry = Entry {
            path: EntryPath::parse(&join(directory, name))?,
            kind: Kind::File,
            link: Vec::new(),
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: Time {
                seconds: 0,
                nanoseconds: 0,
            },
            major: 0,
            minor: 0,
            xattrs: Vec::new(),
        };
        self.write(&entry)
    }

    fn write(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        self.writer.entry(entry).map_err(|error| not_taken(&error))
    }
}

/// An entry for what is at `path`; what is kept of it in an attribute goes before what the disk says.
pub(super) fn describe(
    path: &[u8],
    stat: &Stat,
    file: Option<BorrowedFd<'_>>,
    link: Vec<u8>,
) -> Result<Entry, UnpackError> {
    let failed = |errno| UnpackError::system(Operation::Xattr, path, errno);
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice => Kind::Character,
        FileType::BlockDevice => Kind::Block,
        FileType::Fifo => Kind::Fifo,
        _ => Kind::File,
    };
    let (xattrs, kept) = match file {
        Some(file) => (
            attributes(file).map_err(failed)?,
            kept_stat(file).map_err(failed)?,
        ),
        None => (Vec::new(), None),
    };
    let mut entry = Entry {
        path: EntryPath::parse(if path.is_empty() { b"/" } else { path })?,
        kind,
        link,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: if kind == Kind::File {
            u64::try_from(stat.st_size).unwrap_or(0)
        } else {
            0
        },
        mtime: Time {
            seconds: stat.st_mtime,
            nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        },
        major: rustix::fs::major(stat.st_rdev),
        minor: rustix::fs::minor(stat.st_rdev),
        xattrs,
    };
    if let Some(Kept {
        uid,
        gid,
        mode,
        device,
    }) = kept
    {
        (entry.uid, entry.gid, entry.mode) = (uid, gid, mode);
        if let Some((kind, major, minor)) = device {
            (entry.kind, entry.size) = (kind, 0);
            (entry.major, entry.minor) = (major, minor);
        }
    }
    Ok(entry)
}

/// Sorted, so that the same tree gives the same archive.
fn names(directory: &OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        name.to_vec()
    } else {
        [directory, b"/", name].concat()
    }
}
