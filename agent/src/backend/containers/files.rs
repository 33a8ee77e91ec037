//! Files of a workspace, in the executor's words.

use runtime::collect::{Bounds, CollectError, Collected, Found, FoundKind};

use crate::backend::{FileKind, FilesError, FoundFile, PackedFiles};

/// Files, directories and links of one archive.
const FILES: u64 = 1_000_000;

pub(super) const fn bounds(bytes: u64) -> Bounds {
    Bounds {
        bytes,
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
