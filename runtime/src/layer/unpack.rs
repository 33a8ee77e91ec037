//! A whole layer, from the first compressed byte to the last file.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

use super::Compression;
use super::entry::Archive;
use super::error::UnpackError;
use super::extract::Extractor;
use super::pump::Pump;
use super::recording::Recorder;
use super::stream::Stream;
use super::tree::Manner;
use crate::image::Digest;

/// Bounds on one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Uncompressed, headers included.
    pub bytes: u64,
    /// Files, directories and links.
    pub entries: u64,
    /// Long names and extended headers of one entry, bytes; Linux allows 64 KiB of one attribute's value.
    pub metadata: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 30,
            entries: 4_000_000,
            metadata: 1 << 20,
        }
    }
}

/// What came of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// The digest of the uncompressed stream, to be compared with the image's configuration.
    pub diff_id: Digest,
    /// Uncompressed bytes.
    pub size: u64,
    /// Files, directories and links.
    pub entries: u64,
    /// The recording has everything that the tree has not, so that the archive can be made again.
    pub is_recorded: bool,
}

/// Unpacks a layer into `target`, an existing empty directory.
///
/// What the archive has beside its files' contents goes to `recording`. A layer that replaces its own files has lost some of
/// those: then there is no recording.
///
/// One thread decompresses and hashes, this one writes. Meant for a process that is root in the container's user namespace; without those rights it works as far as they go,
/// and keeps ownership in [`super::OVERRIDE_STAT`]. The process's umask must not take from modes that matter: it is
/// never relied on, every mode is set. Nothing outside `target` is touched, whatever the archive says; on an error the
/// target is left half full, for the caller to remove.
///
/// # Errors
/// The stream breaks, the archive is damaged, hostile or too large, or the kernel refuses.
pub fn unpack(
    stream: impl Read + Send,
    compression: Compression,
    target: BorrowedFd<'_>,
    limits: &Limits,
    recording: Option<File>,
) -> Result<Unpacked, UnpackError> {
    let (pump, ends) = Pump::new(stream, compression, limits.bytes);
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("decompress".to_owned())
            .spawn_scoped(scope, || pump.run())
            .map_err(|error| UnpackError::Worker {
                reason: format!("it cannot start a thread: {error}"),
            })?;
        let stream = Stream::new(ends, recording.map(Recorder::new));
        place(Archive::new(stream, *limits), target)
    })
}

/// Makes every entry of an archive. What it does not take any more stops the pump, since the archive goes with it.
fn place(mut archive: Archive<Stream>, target: BorrowedFd<'_>) -> Result<Unpacked, UnpackError> {
    let mut extractor = Extractor::new(target, Manner::Layer);
    while let Some(entry) = archive.next()? {
        extractor.place(&entry, &mut archive)?;
    }
    let has_all = extractor.finish()?;
    let entries = archive.entries();
    let whole = archive.into_input().finish()?;
    Ok(Unpacked {
        diff_id: whole.digest,
        size: whole.size,
        entries,
        is_recorded: whole.is_recorded && has_all,
    })
}

#[cfg(test)]
mod tests;
