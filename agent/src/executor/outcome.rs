//! How steps and jobs ended, as the units report it upwards.

use indexmap::IndexMap;
use pipelines::plan::{Resources, Step};
use protocol::service::ArtifactEnd;
use protocol::{Cause, Conclusion, Skip, Usage};

use crate::backend::{
    Exceeded, Exit, ExitStatus, ImageError, ImageErrorKind, StartError, StartErrorKind,
};
use crate::clock::milliseconds;
use crate::log::StreamError;

use super::exchange::Left;
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
    /// What it has left for others.
    pub(super) left: Left,
}

impl StepOutcome {
    pub(super) fn new(conclusion: Conclusion, cause: Option<Cause>) -> Self {
        Self {
            conclusion,
            cause,
            usage: None,
            fault: None,
            job_timed_out: false,
            left: Left::default(),
        }
    }

    /// What was wrong where that is this machine, and neither the pipeline nor somebody else's.
    pub(super) fn machine_fault(&self) -> Option<String> {
        match (self.fault, &self.cause) {
            (
                Some(Fault::Internal),
                Some(Cause::Internal { message } | Cause::Image { message }),
            ) => Some(message.clone()),
            _ => None,
        }
    }

    /// The same with what the step has left; a success that left nonsense is none.
    pub(super) fn leaving(self, left: Result<Left, String>) -> Self {
        match left {
            Ok(left) => Self { left, ..self },
            Err(message) if self.conclusion == Conclusion::Success => Self {
                conclusion: Conclusion::Failure,
                cause: Some(Cause::Output { message }),
                ..self
            },
            Err(message) => {
                tracing::debug!(message, "what a failed step has left cannot be read");
                self
            }
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

    /// An expression of the step has no value: the pipeline's mistake.
    pub(super) fn unbound(step: &Step, error: &dyn std::error::Error) -> Self {
        let message = step.place.located(error);
        Self::new(Conclusion::Failure, Some(Cause::Start { message }))
    }

    /// Its `if` does not hold.
    pub(super) fn not_due(condition: String) -> Self {
        let cause = Cause::Skipped(Skip::Condition { condition });
        Self::new(Conclusion::Skipped, Some(cause))
    }

    /// Its `if` cannot be evaluated.
    pub(super) fn undecided(message: String) -> Self {
        Self::new(Conclusion::Failure, Some(Cause::Start { message }))
    }

    /// Whether `allow_failure` of the step covers this outcome. The step's own failure, that is: when the job's time is
    /// over, that is not the step's to allow.
    pub(super) fn allowed_by(&self, step: &Step) -> bool {
        step.allow_failure && self.conclusion == Conclusion::Failure && !self.job_timed_out
    }

    /// The command ended by itself.
    pub(super) fn exited(exit: Exit, resources: &Resources) -> Self {
        let cause = match (exit.exceeded, exit.status) {
            (_, ExitStatus::Code(0)) => None,
            (Some(exceeded), status) => Some(limit(exceeded, status, resources)),
            (None, ExitStatus::Code(code)) => Some(Cause::Exit { code }),
            (None, ExitStatus::Signal(signal)) => Some(Cause::Signal { signal }),
        };
        let outcome = match cause {
            None => Self::new(Conclusion::Success, None),
            cause => Self::new(Conclusion::Failure, cause),
        };
        Self {
            usage: exit.usage,
            ..outcome
        }
    }

    /// Its output could not be carried to its end.
    pub(super) fn unheard(error: &StreamError) -> Self {
        match error.log_limit() {
            Some(limit_bytes) => {
                let cause = Cause::LogLimit { limit_bytes };
                Self::new(Conclusion::Failure, Some(cause))
            }
            None => Self::internal(error),
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
            Reason::Silence(length) => Self::new(
                Conclusion::Failure,
                Some(Cause::Silence {
                    limit_ms: milliseconds(*length),
                }),
            ),
            Reason::Service(fallen) => Self {
                fault: fallen.fault,
                ..Self::new(fallen.conclusion, Some(fallen.cause()))
            },
            Reason::Workspace(limit_bytes) => Self::new(
                Conclusion::Failure,
                Some(Cause::Disk {
                    limit_bytes: Some(*limit_bytes),
                    code: KILLED,
                }),
            ),
            Reason::Log(error) => Self::unheard(error),
        }
    }
}

/// What a shell says of a command that SIGKILL has ended.
const KILLED: u8 = 137;

/// A limit as the reason of a failure.
fn limit(exceeded: Exceeded, status: ExitStatus, resources: &Resources) -> Cause {
    /// What a shell adds to the number of a signal (POSIX, 2.8.2).
    const SIGNALLED: i32 = 128;
    let code = match status {
        ExitStatus::Code(code) => code,
        ExitStatus::Signal(signal) => u8::try_from(SIGNALLED + signal).unwrap_or(u8::MAX),
    };
    match exceeded {
        Exceeded::Memory => Cause::Oom {
            limit_bytes: resources.memory_bytes,
            code,
        },
        Exceeded::Pids => Cause::Pids {
            limit: resources.pids,
            code,
        },
        Exceeded::Disk => Cause::Disk {
            limit_bytes: resources.disk_bytes,
            code,
        },
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
            | ImageErrorKind::Damaged
            | ImageErrorKind::Unsupported
            | ImageErrorKind::NotBuilt => (Conclusion::Failure, None),
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
    /// What was wrong where that is this machine.
    pub(super) machine_fault: Option<String>,
    /// Its `outputs`, where it has succeeded.
    pub(super) outputs: IndexMap<String, String>,
    /// What is kept of its workspace.
    pub(super) artifacts: Vec<ArtifactEnd>,
}

impl JobOutcome {
    /// Slipway or the machine failed before or beside the steps.
    pub(super) fn internal(message: String) -> Self {
        Self {
            conclusion: Conclusion::Error,
            cause: Some(Cause::Internal {
                message: message.clone(),
            }),
            allowed: false,
            fault: Some(Fault::Internal),
            machine_fault: Some(message),
            outputs: IndexMap::new(),
            artifacts: Vec::new(),
        }
    }

    /// Jobs that need this one may start.
    pub(super) fn satisfies(&self) -> bool {
        self.conclusion == Conclusion::Success || self.allowed
    }
}
