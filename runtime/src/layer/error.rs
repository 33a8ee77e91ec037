//! Why a layer was not unpacked. The error crosses a process boundary, so it holds data only: numbers and text.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Compression;

/// Why a layer was not unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum UnpackError {
    /// The stream broke.
    #[error("failed to read the layer: {reason}")]
    Read {
        /// The operating system's words.
        reason: String,
    },
    /// The compressed bytes are damaged or end early.
    #[error("the layer is not valid {compression}: {reason}")]
    Decompress {
        /// What it was taken for.
        compression: Compression,
        /// The decoder's words.
        reason: String,
    },
    /// The archive's structure is damaged, or two readers could disagree about it.
    #[error("the layer's archive is malformed at entry {entry}: {fault}")]
    Malformed {
        /// Counted from 1.
        entry: u64,
        /// What is wrong.
        fault: Fault,
    },
    /// One entry asks for something it must not have.
    #[error("the layer's entry `{path}` is refused: {refusal}")]
    Refused {
        /// The entry's name, made printable.
        path: String,
        /// Why.
        refusal: Refusal,
    },
    /// Bounds against decompression bombs.
    #[error("the layer has more than {limit} {exceeded}")]
    Limit {
        /// Of what.
        exceeded: Exceeded,
        /// The bound.
        limit: u64,
    },
    /// The kernel refused.
    #[error("failed to {operation} `{path}` of the layer: {}", std::io::Error::from_raw_os_error(*errno))]
    System {
        /// What was tried.
        operation: Operation,
        /// The entry's name, made printable.
        path: String,
        /// `errno(3)`.
        errno: i32,
    },
    /// A squashfs image that cannot be read.
    #[error("the squashfs image is damaged, or of a kind that is not supported: {reason}")]
    FileSystem {
        /// The reader's words.
        reason: String,
    },
    /// What is on the disk is not what was unpacked.
    #[error("`{path}` of the layer {change}")]
    Changed {
        /// Its name, made printable.
        path: String,
        /// In which way.
        change: Change,
    },
    /// What is kept of the archive beside the files ([`super::Unpacked::is_recorded`]) cannot be used.
    #[error("the layer's recording is damaged: {reason}")]
    Recording {
        /// What is wrong with it.
        reason: String,
    },
    /// Whoever was to take the archive does not any more.
    #[error("failed to write the layer's archive: {reason}")]
    Write {
        /// The operating system's words.
        reason: String,
    },
    /// There was less time than it takes.
    #[error("it takes too long")]
    Late,
    /// The process that unpacks ended without an answer.
    #[error("the process that unpacks layers is gone: {reason}")]
    Worker {
        /// How it ended.
        reason: String,
    },
}

/// What is wrong with an archive's structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It ends inside an entry.
    #[error("it ends too early")]
    Truncated,
    /// The header's own sum.
    #[error("the header's checksum is wrong; it may be no tar archive")]
    Checksum,
    /// Neither octal nor base-256, or out of range.
    #[error("a number in the header cannot be read")]
    Number,
    /// `LEN KEY=VALUE\n`.
    #[error("an extended header record cannot be read")]
    Record,
    /// A value of an extended header that is no number, or out of range.
    #[error("a number in the extended header cannot be read")]
    RecordNumber,
    /// The two headers give different sizes, the trick of CVE-2025-62518.
    #[error("the header and the extended header disagree about the size")]
    Sizes,
    /// A directory or link with content.
    #[error("an entry that has no content claims a size")]
    Content,
    /// A long name or extended header that belongs to nothing.
    #[error("an extended header is not followed by an entry")]
    Dangling,
    /// Two extended headers in a row, of which readers take different ones.
    #[error("an entry has two extended headers")]
    Twice,
    /// A multi-volume, sparse or vendor entry.
    #[error("sparse files are not supported")]
    Sparse,
    /// An unknown type.
    #[error("unsupported entry type {0:#04x}")]
    Type(u8),
}

/// Why an entry is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// `..` in the name or a hard link's target.
    #[error("`..` in a path")]
    DotDot,
    /// A NUL byte in the middle of a name.
    #[error("a NUL byte in a path")]
    Nul,
    /// No name, or a link without a target.
    #[error("an empty path")]
    Empty,
    /// Longer than `PATH_MAX`.
    #[error("the path is too long")]
    TooLong,
    /// The root of the layer is a directory.
    #[error("only a directory can be the root")]
    Root,
    /// A hard link to something that is not there.
    #[error("a hard link to a file that is not in the layer")]
    LinkMissing,
    /// A hard link to a directory, symbolic link or device.
    #[error("a hard link to something that is not a regular file")]
    LinkKind,
    /// `.wh.`, `.wh..` and `.wh...`.
    #[error("a whiteout of nothing")]
    Whiteout,
    /// A device number that the kernel has no room for.
    #[error("the device number is out of range")]
    Device,
    /// Among plain files.
    #[error("a device or a pipe")]
    Special,
    /// Not where the archive's files belong.
    #[error("it belongs somewhere else")]
    Elsewhere,
}

/// What there was too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Exceeded {
    /// Uncompressed, headers included.
    #[error("uncompressed bytes")]
    Bytes,
    /// Files, directories, links.
    #[error("entries")]
    Entries,
    /// Long names and extended headers of one entry.
    #[error("bytes of extended headers in one entry")]
    Metadata,
    /// Of all entries of an archive of images.
    #[error("bytes of names")]
    Names,
}

/// How a file of a layer differs from what was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is gone.
    #[error("is missing")]
    Missing,
    /// A file where a directory was, and so on.
    #[error("is of another kind")]
    Kind,
    /// A file's content has another length.
    #[error("has another size")]
    Size,
    /// Permission bits.
    #[error("has another mode")]
    Mode,
    /// Neither the file's own owner nor the one that is kept in an attribute is the archive's.
    #[error("has another owner")]
    Owner,
    /// Of the last modification.
    #[error("has another time")]
    Time,
    /// A device of other numbers.
    #[error("is another device")]
    Device,
    /// A symbolic link leads elsewhere, or a hard link is none.
    #[error("links to something else")]
    Link,
    /// Nobody unpacked it.
    #[error("is not of the layer")]
    Extra,
}

/// What was asked of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the verb it prints as")]
pub enum Operation {
    OpenParent,
    MakeDirectory,
    CreateFile,
    WriteFile,
    Symlink,
    Link,
    MakeNode,
    Remove,
    Open,
    Stat,
    List,
    ReadFile,
    Owner,
    Mode,
    Time,
    Xattr,
    Opaque,
    Whiteout,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenParent => "open the parent of",
            Self::MakeDirectory => "make the directory",
            Self::CreateFile => "create the file",
            Self::WriteFile => "write the file",
            Self::Symlink => "make the symbolic link",
            Self::Link => "make the hard link",
            Self::MakeNode => "make the special file",
            Self::Remove => "replace",
            Self::Open => "open",
            Self::Stat => "look at",
            Self::List => "list",
            Self::ReadFile => "read",
            Self::Owner => "set the owner of",
            Self::Mode => "set the mode of",
            Self::Time => "set the time of",
            Self::Xattr => "set an extended attribute of",
            Self::Opaque => "mark as opaque",
            Self::Whiteout => "mark as deleted",
        })
    }
}

impl UnpackError {
    /// The disk, a quota or the inodes are used up.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        use rustix::io::Errno;
        matches!(self, Self::System { errno, .. }
            if *errno == Errno::NOSPC.raw_os_error() || *errno == Errno::DQUOT.raw_os_error())
    }

    pub(crate) fn system(operation: Operation, path: &[u8], errno: rustix::io::Errno) -> Self {
        Self::System {
            operation,
            path: printable(path),
            errno: errno.raw_os_error(),
        }
    }

    pub(super) fn changed(path: &[u8], change: Change) -> Self {
        Self::Changed {
            path: printable(path),
            change,
        }
    }

    pub(super) fn refused(path: &[u8], refusal: Refusal) -> Self {
        Self::Refused {
            path: printable(path),
            refusal,
        }
    }
}

/// A name of an archive's, fit for a message.
pub(crate) fn printable(path: &[u8]) -> String {
    const LONGEST: usize = 256;
    let text: String = path[..path.len().min(LONGEST)].escape_ascii().to_string();
    if path.is_empty() {
        "/".to_owned()
    } else if path.len() > LONGEST {
        format!("{text}..")
    } else {
        text
    }
}
