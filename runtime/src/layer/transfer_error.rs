//! Why files were not taken from, or not put into, a root. Crosses from a worker to the agent.

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::error::UnpackError;

/// Why files were not copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TransferError {
    /// A source is not there.
    #[error("there is no `{path}`")]
    Missing {
        /// As written.
        path: String,
    },
    /// A system call failed.
    #[error("failed to {operation} `{path}`: {}", std::io::Error::from_raw_os_error(*errno))]
    System {
        /// What was being done.
        operation: String,
        /// To what.
        path: String,
        /// From errno(3).
        errno: i32,
    },
    /// A file became shorter while it was read.
    #[error("`{path}` changed while it was read")]
    Changed {
        /// Which.
        path: String,
    },
    /// A bound is reached.
    #[error("it is more than {entries} files, or {bytes} bytes")]
    TooMuch {
        /// At most.
        entries: u64,
        /// At most.
        bytes: u64,
    },
    /// Something is in the way.
    #[error("`{path}` in the image is {what}")]
    InTheWay {
        /// In the image.
        path: String,
        /// `a file`, `a directory`.
        what: String,
    },
    /// An owner that there is not.
    #[error("{reason}")]
    Owner {
        /// Why.
        reason: String,
    },
    /// Whoever should take the archive went away.
    #[error("what was read is not taken: {reason}")]
    Write {
        /// Why.
        reason: String,
    },
    /// The archive is damaged, or has something that cannot be made.
    #[error(transparent)]
    Archive {
        /// Why.
        #[from]
        source: UnpackError,
    },
    /// The worker is gone, or could not begin.
    #[error("{reason}")]
    Worker {
        /// What was seen.
        reason: String,
    },
}

impl TransferError {
    pub(super) fn system(operation: &str, path: &[u8], errno: Errno) -> Self {
        Self::System {
            operation: operation.to_owned(),
            path: String::from_utf8_lossy(path).into_owned(),
            errno: errno.raw_os_error(),
        }
    }

    pub(super) fn io(operation: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
        Self::system(operation, path.as_os_str().as_encoded_bytes(), errno)
    }

    #[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
    pub(super) fn write(error: std::io::Error) -> Self {
        Self::Write {
            reason: error.to_string(),
        }
    }
}
