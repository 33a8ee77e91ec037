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
use super::error::UnpackError;
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
    let (reader, _) = decoder(source, Compression::Detect).map_err(|error| unread(&error))?;
    let mut archive = Archive::new(Plain(BufReader::new(reader)), Limits::default());
    for _ in 0..FIRST {
        match archive.next()? {
            Some(entry) if entry.path.as_bytes() == name.as_bytes() => return Ok(true),
            Some(_) => {}
            None => break,
        }
    }
    Ok(false)
}

/// Passes on what is below `rootfs/`.
fn bundle(source: File, limits: &Limits, out: impl Write) -> Result<(), UnpackError> {
    let (reader, _) = decoder(source, Compression::Detect).map_err(|error| unread(&error))?;
    let mut archive = Archive::new(Plain(BufReader::new(reader)), *limits);
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
struct Plain<R>(R);

impl<R: Read> Input for Plain<R> {
    fn read(&mut self, target: &mut [u8]) -> Result<usize, UnpackError> {
        let mut done = 0;
        while done < target.len() {
            match self.0.read(&mut target[done..]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unread(&error)),
            }
        }
        Ok(done)
    }

    fn skip(&mut self, count: u64) -> Result<bool, UnpackError> {
        let skipped = io::copy(&mut self.0.by_ref().take(count), &mut io::sink());
        Ok(skipped.map_err(|error| unread(&error))? == count)
    }
}

fn unread(error: &io::Error) -> UnpackError {
    UnpackError::Read {
        reason: error.to_string(),
    }
}
