//! How steps and jobs ended, as the units report it upwards.

use pipelines::plan::Step;
use protocol::{Cause, Conclusion, Usage};

use crate::backend::{Exit, ExitStatus, ImageError, ImageErrorKind, StartError, StartErrorKind};
use crate::clock::milliseconds;

use super::stop::Reason;

/// What kind of [`Conclusion::Error`] it was; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A registry could not be reached or did not deliver.
    Unavailable,
    /// Everything else.
    Internal,
}

/// How one step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StepOutcome {
    pub(super) conclusion: Conclusion,
    pub(super) cause: Option<Cause>,
    pub(super) usage: Option<Usage>,
    /// Given exactly if the conclusion is [`Conclusion::Error`].
    pub(super) fault: Option<Fault>,
    /// It was the job's limit that ended the step.
    pub(super) job_timed_out: bool,
}

impl StepOutcome {
    const fn new(conclusion: Conclusion, cause: Option<Cause>) -> Self {
        Self {
            conclusion,
            cause,
            usage: None,
            fault: None,
            job_timed_out: false,
        }
    }

    /// Slipway or the machine failed.
    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        let message = error.to_string();
        Self {
            fault: Some(Fault::Internal),
            ..Self::new(Conclusion::Error, Some(Cause::Internal { message }))
        }
    }

    /// Whether `allow_failure` of the step covers this outcome. The step's own failure, that is: when the job's time is
    /// over, that is not the step's to allow.
    pub(super) fn allowed_by(&self, step: &Step) -> bool {
        step.allow_failure && self.conclusion == Conclusion::Failure && !self.job_timed_out
    }

    /// The command ended by itself.
    pub(super) fn exited(exit: Exit) -> Self {
        let outcome = match exit.status {
            ExitStatus::Code(0) => Self::new(Conclusion::Success, None),
            ExitStatus::Code(code) => Self::new(Conclusion::Failure, Some(Cause::Exit { code })),
            ExitStatus::Signal(signal) => {
                Self::new(Conclusion::Failure, Some(Cause::Signal { signal }))
            }
        };
        Self {
            usage: exit.usage,
            ..outcome
        }
    }

    /// We ended it, or kept it from starting.
    pub(super) fn stopped(reason: &Reason) -> Self {
        match reason {
            Reason::Cancelled => Self::new(Conclusion::Cancelled, Some(Cause::Cancelled)),
            Reason::Timeout(limit) => Self {
                job_timed_out: limit.of_job,
                ..Self::new(
                    Conclusion::Failure,
                    Some(Cause::Timeout {
                        limit_ms: milliseconds(limit.length),
                    }),
                )
            },
            Reason::Log(error) => Self::internal(error),
        }
    }
}

impl From<&ImageError> for StepOutcome {
    /// An image that its source denies is the pipeline's failure: the source works, the name or the access is wrong.
    /// A registry that hides private repositories answers "unauthorized" for a misspelt name, so both count the same.
    fn from(error: &ImageError) -> Self {
        let (conclusion, fault) = match error.kind {
            ImageErrorKind::InvalidReference
            | ImageErrorKind::NotFound
            | ImageErrorKind::Unauthorized
            | ImageErrorKind::Unsupported => (Conclusion::Failure, None),
            ImageErrorKind::Unavailable | ImageErrorKind::Corrupt => {
                (Conclusion::Error, Some(Fault::Unavailable))
            }
            ImageErrorKind::Internal => (Conclusion::Error, Some(Fault::Internal)),
        };
        let message = error.message.clone();
        Self {
            fault,
            ..Self::new(conclusion, Some(Cause::Image { message }))
        }
    }
}

impl From<&StartError> for StepOutcome {
    fn from(error: &StartError) -> Self {
        match error.kind {
            StartErrorKind::Request => {
                let message = error.message.clone();
                Self::new(Conclusion::Failure, Some(Cause::Start { message }))
            }
            StartErrorKind::Internal => Self::internal(error),
        }
    }
}

/// How one job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JobOutcome {
    pub(super) conclusion: Conclusion,
    /// Given where the steps do not tell.
    pub(super) cause: Option<Cause>,
    /// A failure that `allow_failure` covers. An error never is: it says nothing about the pipeline.
    pub(super) allowed: bool,
    pub(super) fault: Option<Fault>,
}

impl JobOutcome {
    /// Slipway or the machine failed before or beside the steps.
    pub(super) const fn internal(message: String) -> Self {
        Self {
            conclusion: Conclusion::Error,
            cause: Some(Cause::Internal { message }),
            allowed: false,
            fault: Some(Fault::Internal),
        }
    }

    /// Jobs that need this one may start.
    pub(super) fn satisfies(&self) -> bool {
        self.conclusion == Conclusion::Success || self.allowed
    }
}
