//! Files of a workspace, in the executor's words.

use runtime::collect::{Bounds, CollectError, Collected, Found, FoundKind, Part};
use runtime::layer::{Limits, Restored, UnpackError};

use super::workspace::Workspace;
use rustix::io::Errno;

use crate::backend::{FileKind, FilePart, FilesError, FoundFile, PackedFiles, RestoredFiles};

/// Files, directories and links of one archive.
const FILES: u64 = 1_000_000;

/// For contents and an archive of so many bytes.
pub(super) const fn bounds(bytes: u64, size: u64) -> Bounds {
    Bounds {
        bytes,
        size,
        files: FILES,
    }
}

pub(super) fn found(Found { path, kind }: Found) -> FoundFile {
    let kind = match kind {
        FoundKind::File | FoundKind::Link => FileKind::File,
        FoundKind::Directory => FileKind::Directory,
        FoundKind::Special => FileKind::Special,
        FoundKind::Unreadable => FileKind::Unreadable,
    };
    FoundFile { path, kind }
}

pub(super) fn packed(collected: Collected) -> PackedFiles {
    PackedFiles {
        files: collected.files,
        bytes: collected.bytes,
        size: collected.size,
        sha256: collected.digest.hex(),
    }
}

pub(super) fn failed(error: &CollectError) -> FilesError {
    FilesError {
        is_of_the_files: error.is_of_the_files(),
        message: error.to_string(),
    }
}

/// Bytes of headers beside a file's contents, with long names, and of the end of an archive.
const HEADERS: u64 = 8 << 10;

/// For contents of so many bytes.
pub(super) const fn limits(bytes: u64) -> Limits {
    Limits {
        bytes: bytes.saturating_add(FILES * HEADERS),
        entries: FILES,
        metadata: 64 << 10,
    }
}

/// What the zygote holds the parts by. One that names no directory of the job is an empty one of the workspace.
pub(super) fn parts(workspace: &Workspace, parts: &[FilePart]) -> Vec<Part> {
    let of = |part: &FilePart| {
        let directory = part
            .directory
            .map(|number| workspace.directories.get(number));
        match directory {
            None => Part {
                name: workspace.name.clone(),
                below: part.below.clone(),
                is_tree: true,
            },
            Some(directory) => Part {
                name: directory.map_or_else(|| workspace.name.clone(), |(name, _)| name.clone()),
                below: directory.map_or_else(Vec::new, |_| part.below.clone()),
                is_tree: false,
            },
        }
    };
    parts.iter().map(of).collect()
}

pub(super) const fn restored(restored: Restored) -> RestoredFiles {
    RestoredFiles {
        files: restored.files,
        bytes: restored.bytes,
    }
}

/// Without talk of layers.
pub(super) fn not_restored(error: &UnpackError) -> FilesError {
    let message = match error {
        UnpackError::Read { reason } => format!("failed to read its archive: {reason}"),
        UnpackError::Decompress { reason, .. } => format!("its archive is damaged: {reason}"),
        UnpackError::Malformed { entry, fault } => {
            format!("its archive is malformed at entry {entry}: {fault}")
        }
        UnpackError::Refused { path, refusal } => format!("`{path}` in it is refused: {refusal}"),
        UnpackError::Limit { exceeded, limit } => format!("it has more than {limit} {exceeded}"),
        UnpackError::System {
            operation,
            path,
            errno,
        } => {
            let why = std::io::Error::from_raw_os_error(*errno);
            format!("failed to {operation} `{path}`: {why}")
        }
        other => other.to_string(),
    };
    FilesError {
        is_of_the_files: is_of_the_archive(error),
        message,
    }
}

/// Whether the same archive would fare no better another time, or on another machine; then nothing of it has stayed.
const fn is_of_the_archive(error: &UnpackError) -> bool {
    match error {
        UnpackError::Decompress { .. }
        | UnpackError::Malformed { .. }
        | UnpackError::Refused { .. }
        | UnpackError::Limit { .. } => true,
        // It leads elsewhere: openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS.
        UnpackError::System { errno, .. } => {
            *errno == Errno::LOOP.raw_os_error() || *errno == Errno::XDEV.raw_os_error()
        }
        _ => false,
    }
}
