//! Why files were not collected. It crosses a process boundary, so it holds data only.

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::layer::printable;

/// Why files were not collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CollectError {
    /// There is more than there may be.
    #[error("more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: TooMuch,
        /// The bound.
        limit: u64,
    },
    /// The kernel refused.
    #[error("failed to {operation} `{path}`: {}", std::io::Error::from_raw_os_error(*errno))]
    System {
        /// What was tried.
        operation: String,
        /// With what, made printable.
        path: String,
        /// `errno(3)`.
        errno: i32,
    },
    /// A file was written to meanwhile.
    #[error("`{path}` changed while it was read")]
    Changed {
        /// Its name, made printable.
        path: String,
    },
    /// Something that must not be in the archive.
    #[error("`{path}` holds the value of a secret")]
    Forbidden {
        /// In which file, or in whose name, made printable.
        path: String,
    },
    /// The archive cannot be written.
    #[error("failed to write the archive: {reason}")]
    Write {
        /// The operating system's words.
        reason: String,
    },
    /// The process that collects ended without an answer.
    #[error("the process that collects files is gone: {reason}")]
    Worker {
        /// What is known of it.
        reason: String,
    },
}

/// What there was too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum TooMuch {
    /// Of the contents of all files, or of their archive.
    #[error("bytes")]
    Bytes,
    /// Files, directories and links to choose from, or that were chosen.
    #[error("files")]
    Files,
    /// Of the names of what there is to choose from.
    #[error("bytes of names")]
    Names,
}

impl CollectError {
    pub(super) fn system(operation: &str, path: &[u8], errno: Errno) -> Self {
        Self::System {
            operation: operation.to_owned(),
            path: printable(path),
            errno: errno.raw_os_error(),
        }
    }

    pub(crate) fn write(error: &std::io::Error) -> Self {
        Self::Write {
            reason: error.to_string(),
        }
    }

    /// Whether it is what a job has left that cannot be collected, so that another machine could not do it either. The process
    /// that collects is bounded in memory and ends by what it is given, too.
    #[must_use]
    pub const fn is_of_the_files(&self) -> bool {
        match self {
            Self::TooMuch { .. }
            | Self::Changed { .. }
            | Self::Forbidden { .. }
            | Self::Worker { .. } => true,
            Self::System { errno, .. } => !matches!(
                Errno::from_raw_os_error(*errno),
                Errno::IO
                    | Errno::NFILE
                    | Errno::MFILE
                    | Errno::NOMEM
                    | Errno::NOSPC
                    | Errno::DQUOT
            ),
            Self::Write { .. } => false,
        }
    }
}
