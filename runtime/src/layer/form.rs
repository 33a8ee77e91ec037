//! What a layer's bytes are: a tar archive, or something that is made into one first, in the worker.
//!
//! ```text
//! Tar        stream -------------------------------> pump -> files
//! Bundle     stream -> entries below rootfs/ -> tar -> pump -> files     (appc's ACI, LXD's unified images)
//! Squashfs   file   -> its files and links   -> tar -> pump -> files     (Singularity, LXC)
//! ```
//!
//! The diff ID is that of the tar archive; since that is made the same way each time, it names the content.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::BorrowedFd;

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use serde::{Deserialize, Serialize};

use super::entry::{Archive, Entry, Input, Kind};
use super::error::{Exceeded, UnpackError};
use super::path::EntryPath;
use super::replay::not_taken;
use super::squashfs;
use super::unpack::{Limits, Unpacked, unpack};
use super::writer::Writer;
use super::{Compression, decoder};

/// The directory of a bundle that is the root file system.
const ROOTFS: &[u8] = b"rootfs";
const PIPE: usize = 1 << 20;

/// What a layer's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A tar archive, compressed or not.
    Tar,
    /// A tar archive of which the directory `rootfs` is meant.
    Bundle,
    /// A squashfs image, in a file from its current position.
    Squashfs,
}

/// As [`unpack`], for any form.
///
/// # Errors
/// As [`unpack`]; also when the bytes are not of the form.
pub fn unpack_form(
    source: File,
    form: Form,
    target: BorrowedFd<'_>,
    limits: &Limits,
    recording: Option<File>,
) -> Result<Unpacked, UnpackError> {
    if form == Form::Tar {
        return unpack(source, Compression::Detect, target, limits, recording);
    }
    let made = |error: rustix::io::Errno| UnpackError::Worker {
        reason: format!("it cannot make a pipe: {error}"),
    };
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(made)?;
    // Smaller is only slower.
    let _ = fcntl_setpipe_size(&writer, PIPE);
    std::thread::scope(|scope| {
        let convert = std::thread::Builder::new()
            .name("convert".to_owned())
            .spawn_scoped(scope, || {
                let out = BufWriter::with_capacity(PIPE, File::from(writer));
                match form {
                    Form::Tar | Form::Bundle => bundle(source, limits, out),
                    Form::Squashfs => squashfs::to_tar(source, limits, out),
                }
            })
            .map_err(|error| UnpackError::Worker {
                reason: format!("it cannot start a thread: {error}"),
            })?;
        let unpacked = unpack(
            File::from(reader),
            Compression::None,
            target,
            limits,
            recording,
        );
        match convert.join() {
            // An unpack that stops early breaks the pipe: its error is the cause. Else the archive was cut short.
            Ok(Err(UnpackError::Write { .. })) | Ok(Ok(())) => unpacked,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(squashfs::damaged("its structure makes no sense")),
        }
    })
}

/// Whether one of the first entries of a tar archive is a file of that name, beside the root file system.
///
/// # Errors
/// It is no archive.
pub(crate) fn starts_as_bundle(source: File, name: &str) -> Result<bool, UnpackError> {
    /// Tools write what describes an image first.
    const FIRST: usize = 16;
    const LIMITS: Limits = Limits {
        bytes: 64 << 20,
        entries: 64,
        metadata: 1 << 20,
    };
    let mut archive = Plain::open(source, LIMITS)?;
    for _ in 0..FIRST {
        match archive.next() {
            Ok(Some(entry)) if entry.path.as_bytes() == name.as_bytes() => return Ok(true),
            Ok(Some(_)) => {}
            // A large file among the first is none that describes something.
            Ok(None) | Err(UnpackError::Limit { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether a file is a tar archive, compressed or not, with something in it.
pub(crate) fn is_archive(source: File) -> bool {
    let first = Plain::open(source, Limits::default()).and_then(|mut archive| archive.next());
    matches!(first, Ok(Some(_)))
}

/// The content of a file of that name in a tar archive, with the size that it says it has; `None` when there is none. One of
/// more than `most` bytes is not read: it comes without content.
///
/// # Errors
/// It is no archive, damaged until there, or larger than a layer may be.
pub(crate) fn file_in(
    source: File,
    name: &str,
    most: u64,
) -> Result<Option<(u64, Vec<u8>)>, UnpackError> {
    let mut archive = Plain::open(source, Limits::default())?;
    while let Some(entry) = archive.next()? {
        if entry.kind != Kind::File || entry.path.as_bytes() != name.as_bytes() {
            continue;
        }
        let mut content = match usize::try_from(entry.size) {
            Ok(size) if entry.size <= most => vec![0; size],
            _ => Vec::new(),
        };
        archive.read_content(&mut content)?;
        return Ok(Some((entry.size, content)));
    }
    Ok(None)
}

/// Passes on what is below `rootfs/`.
fn bundle(source: File, limits: &Limits, out: impl Write) -> Result<(), UnpackError> {
    let mut archive = Plain::open(source, *limits)?;
    let mut writer = Writer::new(out);
    let mut buffer = vec![0; 256 * 1024];
    while let Some(entry) = archive.next()? {
        let Some(entry) = below(entry)? else { continue };
        writer.entry(&entry).map_err(|error| not_taken(&error))?;
        let mut rest = entry.size;
        while rest > 0 {
            let most = usize::try_from(rest)
                .unwrap_or(buffer.len())
                .min(buffer.len());
            let count = archive.read_content(&mut buffer[..most])?;
            writer
                .content(&buffer[..count])
                .map_err(|error| not_taken(&error))?;
            rest -= count as u64;
        }
        writer
            .end_content(entry.size)
            .map_err(|error| not_taken(&error))?;
    }
    writer.finish().map_err(|error| not_taken(&error))?;
    Ok(())
}

/// The entry as it is called in the root file system; `None` for one beside it.
fn below(mut entry: Entry) -> Result<Option<Entry>, UnpackError> {
    let stripped = |path: &EntryPath| {
        let rest = path.as_bytes().strip_prefix(ROOTFS)?;
        match rest {
            b"" => Some(EntryPath::parse(b"/")),
            rest => rest.strip_prefix(b"/").map(EntryPath::parse),
        }
    };
    let Some(path) = stripped(&entry.path).transpose()? else {
        return Ok(None);
    };
    entry.path = path;
    if entry.kind == Kind::HardLink {
        let target = EntryPath::parse(&entry.link)?;
        if let Some(target) = stripped(&target).transpose()? {
            entry.link = target.as_bytes().to_vec();
        }
    }
    Ok(Some(entry))
}

/// A reader as an archive's input.
pub(super) struct Plain<R> {
    reader: R,
    /// Bytes that may come.
    limit: u64,
    rest: u64,
}

impl Plain<BufReader<Box<dyn Read>>> {
    /// An archive, compressed or not, of which no more is decompressed than the limits let.
    pub(super) fn open(source: File, limits: Limits) -> Result<Archive<Self>, UnpackError> {
        let (reader, _) = decoder(source, Compression::Detect).map_err(|error| unread(&error))?;
        let input = Self {
            reader: BufReader::new(reader),
            limit: limits.bytes,
            rest: limits.bytes,
        };
        Ok(Archive::new(input, limits))
    }
}

impl<R> Plain<R> {
    fn count(&mut self, count: u64) -> Result<(), UnpackError> {
        let rest = self.rest.checked_sub(count);
        self.rest = rest.ok_or(UnpackError::Limit {
            exceeded: Exceeded::Bytes,
            limit: self.limit,
        })?;
        Ok(())
    }
}

impl<R: Read> Input for Plain<R> {
    fn read(&mut self, target: &mut [u8]) -> Result<usize, UnpackError> {
        let mut done = 0;
        while done < target.len() {
            match self.reader.read(&mut target[done..]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unread(&error)),
            }
        }
        self.count(done as u64)?;
        Ok(done)
    }

    fn skip(&mut self, count: u64) -> Result<bool, UnpackError> {
        let most = count.min(self.rest.saturating_add(1));
        let skipped = io::copy(&mut self.reader.by_ref().take(most), &mut io::sink());
        let skipped = skipped.map_err(|error| unread(&error))?;
        self.count(skipped)?;
        Ok(skipped == count)
    }
}

fn unread(error: &io::Error) -> UnpackError {
    UnpackError::Read {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek as _;
    use std::os::fd::AsFd as _;

    use super::super::testing::{Tar, gzip};
    use super::*;

    fn file(tar: Tar) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&gzip(&tar.bytes())).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn what_is_beside_the_root_file_system_counts() {
        let directory = tempfile::tempdir().unwrap();
        let target = File::open(directory.path()).unwrap();
        let limits = Limits {
            bytes: 1 << 20,
            ..Limits::default()
        };
        let beside = |size| {
            let tar = Tar::new().blob("beside", &vec![0; size]);
            file(tar.directory("rootfs"))
        };
        let unpacked = |source| unpack_form(source, Form::Bundle, target.as_fd(), &limits, None);
        let error = unpacked(beside(2 << 20)).unwrap_err();
        assert!(
            matches!(
                error,
                UnpackError::Limit {
                    exceeded: Exceeded::Bytes,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(unpacked(beside(1 << 19)).unwrap().entries, 1);
    }

    #[test]
    fn what_describes_an_image_is_looked_for_at_its_beginning() {
        let starts = |size| {
            let tar = Tar::new().blob("first", &vec![0; size]);
            starts_as_bundle(file(tar.file("metadata.yaml", "")), "metadata.yaml").unwrap()
        };
        assert!(starts(1 << 20));
        assert!(!starts(65 << 20));
    }

    #[test]
    fn a_file_is_found_behind_any_number_of_others() {
        let many = (0..100_100).fold(Tar::new(), |tar, number| {
            tar.file(&format!("rootfs/{number}"), "")
        });
        let source = || file(Tar::new().directory("manifest").file("manifest", "{}"));
        let found = file_in(file(many.file("manifest", "{}")), "manifest", 2).unwrap();
        assert_eq!(found, Some((2, b"{}".to_vec())));
        assert_eq!(file_in(source(), "manifest", 1).unwrap(), Some((2, vec![])));
        assert_eq!(file_in(source(), "other", 1).unwrap(), None);
    }
}
