//! How a running step, or a service, is brought to its end before its time.
//!
//! ```text
//! Running --ask--> Terminating (SIGTERM sent) --grace over, or insist--> Killed (SIGKILL sent)
//!    '----------------------------insist-------------------------------> Killed
//! ```
//!
//! The first reason is the one that is told.

use std::time::Duration;

use tokio::time::Instant;

use super::services::Fallen;
use crate::log::StreamError;

/// Whether and why a step is being stopped. `R` is the reason: that of a service is another one.
#[derive(Debug)]
pub(super) enum Stop<R = Reason> {
    Running,
    Terminating { reason: R, kill_at: Instant },
    Killed { reason: R },
}

/// Why a step is stopped.
#[derive(Debug)]
pub(super) enum Reason {
    Cancelled,
    Timeout(Limit),
    /// It wrote nothing for so long.
    Silence(Duration),
    /// A service that it needs has failed.
    Service(Fallen),
    /// More was written to the workspace than so many bytes.
    Workspace(u64),
    /// Its output cannot be kept.
    Log(StreamError),
}

/// A limit in time that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    /// As the pipeline states it.
    pub(super) length: Duration,
    /// The job's, not the step's own.
    pub(super) of_job: bool,
}

/// What to send to the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Terminate,
    Kill,
}

impl<R> Stop<R> {
    /// Asks the step to end within `grace`; once is enough.
    pub(super) fn ask(&mut self, reason: R, now: Instant, grace: Duration) -> Option<Signal> {
        match self {
            Self::Running => {
                let kill_at = now + grace;
                *self = Self::Terminating { reason, kill_at };
                Some(Signal::Terminate)
            }
            Self::Terminating { .. } | Self::Killed { .. } => None,
        }
    }

    /// Ends the step at once.
    pub(super) fn insist(&mut self, reason: R) -> Option<Signal> {
        match std::mem::replace(self, Self::Running) {
            Self::Running => {
                *self = Self::Killed { reason };
                Some(Signal::Kill)
            }
            Self::Terminating { reason: first, .. } => {
                *self = Self::Killed { reason: first };
                Some(Signal::Kill)
            }
            killed @ Self::Killed { .. } => {
                *self = killed;
                None
            }
        }
    }

    /// The grace period is over.
    pub(super) fn run_out(&mut self) -> Option<Signal> {
        match std::mem::replace(self, Self::Running) {
            Self::Terminating { reason, .. } => {
                *self = Self::Killed { reason };
                Some(Signal::Kill)
            }
            other => {
                *self = other;
                None
            }
        }
    }

    /// When the grace period is over.
    pub(super) const fn kill_at(&self) -> Option<Instant> {
        match self {
            Self::Terminating { kill_at, .. } => Some(*kill_at),
            Self::Running | Self::Killed { .. } => None,
        }
    }

    /// Nobody has asked for the step's end.
    pub(super) const fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }

    /// Why the step was stopped; `None` when it was not.
    pub(super) fn into_reason(self) -> Option<R> {
        match self {
            Self::Running => None,
            Self::Terminating { reason, .. } | Self::Killed { reason } => Some(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Limit, Reason, Signal, Stop};

    const GRACE: Duration = Duration::from_secs(10);

    fn timeout() -> Reason {
        Reason::Timeout(Limit {
            length: GRACE,
            of_job: false,
        })
    }

    #[test]
    fn a_step_is_asked_once_and_then_killed() {
        let now = Instant::now();
        let mut stop = Stop::Running;
        assert_eq!(stop.ask(timeout(), now, GRACE), Some(Signal::Terminate));
        assert_eq!(stop.kill_at(), Some(now + GRACE));
        assert_eq!(stop.ask(Reason::Cancelled, now + GRACE, GRACE), None);
        assert_eq!(stop.kill_at(), Some(now + GRACE));
        assert_eq!(stop.run_out(), Some(Signal::Kill));
        assert_eq!(stop.run_out(), None);
        assert_eq!(stop.insist(Reason::Cancelled), None);
        assert!(matches!(stop.into_reason(), Some(Reason::Timeout(_))));
    }

    #[test]
    fn insisting_skips_the_grace_period() {
        let mut stop = Stop::Running;
        stop.ask(Reason::Cancelled, Instant::now(), GRACE);
        assert_eq!(stop.insist(Reason::Cancelled), Some(Signal::Kill));
        assert_eq!(stop.kill_at(), None);
        let mut stop = Stop::Running;
        assert_eq!(stop.insist(Reason::Cancelled), Some(Signal::Kill));
    }

    #[test]
    fn a_grace_period_that_never_began_cannot_run_out() {
        let mut stop = Stop::<Reason>::Running;
        assert_eq!(stop.run_out(), None);
        assert!(stop.is_running());
        assert!(stop.into_reason().is_none());
    }
}
