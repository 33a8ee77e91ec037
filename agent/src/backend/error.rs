//! What can go wrong behind the seam. The kind decides the conclusion and the exit code, the text is for the user.

use std::error::Error as StdError;

use crate::chain::chain;

/// Why an image could not be had.
///
/// Cloned to every job that waits for the image, hence text and kind only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ImageError {
    /// What kind of failure it is.
    pub kind: ImageErrorKind,
    /// Names the image, the place it was looked for and the reason; no trailing full stop.
    pub message: String,
}

/// The kinds of failure to get an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageErrorKind {
    /// The reference cannot be parsed.
    InvalidReference,
    /// The source answered that it has no such image.
    NotFound,
    /// The source wants other credentials. A registry that hides private names says so for a misspelt one, too.
    Unauthorized,
    /// The image is of a kind or for a platform that cannot be run here.
    Unsupported,
    /// Its Dockerfile makes no sense, or does not succeed.
    NotBuilt,
    /// The source cannot be reached, is overloaded or has stopped answering.
    Unavailable,
    /// What the source delivered is not what it promised: a wrong digest, a truncated layer.
    Corrupt,
    /// A file on this machine is no image, or a damaged one.
    Damaged,
    /// The store, the disk or the runtime failed.
    Internal,
}

/// Why a step could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// Whose fault it is.
    pub kind: StartErrorKind,
    /// What failed and why, without a trailing full stop.
    pub message: String,
}

/// Whose fault it is that a step could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StartErrorKind {
    /// The pipeline's or the image's: no such shell, user or directory.
    Request,
    /// The machine's or the runtime's.
    Internal,
}

/// The runtime or the machine failed at something that has nothing to do with the pipeline.
#[derive(Debug, thiserror::Error)]
#[error("failed to {operation}: {}", chain(&**source))]
pub struct BackendError {
    /// What was tried, as it reads behind "failed to".
    pub operation: String,
    /// Why it failed.
    #[source]
    pub source: Box<dyn StdError + Send + Sync>,
}

impl BackendError {
    /// Names the operation that `source` spoiled.
    pub fn new(
        operation: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            operation: operation.into(),
            source: source.into(),
        }
    }
}
