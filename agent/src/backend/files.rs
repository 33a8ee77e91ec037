//! Files that steps have left in a workspace, as they are found and packed.

/// A file, a directory or a link of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// From the workspace's root; not necessarily UTF-8.
    pub path: Vec<u8>,
    /// Which.
    pub kind: FileKind,
}

/// What something in a workspace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file, or a symbolic link.
    File,
    /// A directory.
    Directory,
    /// A device, a pipe, a socket.
    Special,
    /// A directory that nobody here may read.
    Unreadable,
}

/// How much may be packed, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Of the files' contents together.
    pub contents: u64,
    /// Of the archive.
    pub archive: u64,
}

/// Files in an archive, a gzipped tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedFiles {
    /// Files, directories and links.
    pub files: u64,
    /// Bytes of the files' contents.
    pub bytes: u64,
    /// Bytes of the archive.
    pub size: u64,
    /// Of the archive: SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

/// Files of a workspace that are put back from an archive, or go into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// The directory of the job they are in, by its position in [`super::JobRequest::directories`]; `None` is the workspace.
    pub directory: Option<usize>,
    /// Paths in it: these files, and everything below these directories. The empty one is all of it.
    pub below: Vec<String>,
}

/// Files that were put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoredFiles {
    /// Files, directories and links.
    pub files: u64,
    /// Bytes of the files' contents.
    pub bytes: u64,
}

/// Why files of a workspace cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilesError {
    /// It is what the job has left and the pipeline asks for, and not the machine.
    pub is_of_the_files: bool,
    /// What failed and why, without a trailing full stop.
    pub message: String,
}
