use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `retry`: which ends of a step are worth another attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts after the first.
    pub max: NonZeroU32,
    /// The ends that count; never empty. A `retry` that names none has [`RetryCause::Failure`] and
    /// [`RetryCause::Infrastructure`].
    pub on: Vec<RetryCause>,
    /// How long to wait before each further attempt.
    pub delay: Duration,
}

/// An end of a step that is worth another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryCause {
    /// Any failure of the step's own: an exit status, a signal, a timeout.
    Failure,
    /// Not the pipeline's fault: a registry, the runtime, the disk.
    Infrastructure,
    /// `timeout` or `silence_timeout` was reached.
    Timeout,
    /// The command exited with this status.
    Exit(u8),
}
