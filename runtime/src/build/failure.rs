//! Why an image was not built.

use crate::dockerfile::{Place, Problem};
use crate::layer::TransferError;
use crate::store::CommitError;
use crate::zygote::RequestError;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The Dockerfile, or what it was asked for, makes no sense.
    Dockerfile,
    /// A `RUN` failed, or a file is missing: the build is as it should be, and does not succeed.
    Instruction,
    /// A registry cannot be reached.
    Unavailable,
    /// Something of ours, or of the machine's.
    Internal,
}

/// Why an image was not built, and at which instruction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct BuildFailure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// Where, and why.
    pub problem: Box<Problem>,
}

impl BuildFailure {
    pub(super) fn new(kind: FailureKind, problem: Problem) -> Self {
        Self {
            kind,
            problem: Box::new(problem),
        }
    }

    /// The Dockerfile makes no sense at a place.
    pub(super) fn mistake(place: Place, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Dockerfile, Problem::new(place, message))
    }

    /// The instruction at a place did not succeed.
    pub(super) fn instruction(place: Place, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Instruction, Problem::new(place, message))
    }

    /// It is nothing that the instruction at a place could help.
    pub(super) fn internal(place: Place, error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            message.push_str(&format!(": {error}"));
            source = error.source();
        }
        Self::new(FailureKind::Internal, Problem::new(place, message))
    }

    pub(super) fn request(place: Place, error: &RequestError) -> Self {
        match error {
            RequestError::Refused(refused) => Self::instruction(place, refused.to_string()),
            error => Self::internal(place, error),
        }
    }

    pub(super) fn transfer(place: Place, error: &TransferError) -> Self {
        match error {
            TransferError::Worker { .. } | TransferError::Write { .. } => {
                Self::internal(place, error)
            }
            error => Self::instruction(place, error.to_string()),
        }
    }

    pub(super) fn commit(place: Place, error: &CommitError) -> Self {
        Self::internal(place, error)
    }
}
