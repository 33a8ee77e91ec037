//! From a plan to containers to events.
//!
//! ```text
//! Request (cancel) --> Dispatcher: owns the run's state, decides, is the only one to order events --> sink queue
//!                        |  ^
//!                  spawn |  | Message (a step asks to start, a step is over, a job is over)
//!                        v  |
//!                      JobRunner: one task a job, owns its workspace and its steps' schedule
//!                        |-- Services: containers beside the steps, from before the first to behind the last
//!                        '-- StepRunner: image, container, deadline, log --> backend
//! ```
//!
//! What to do when is in pure structs ([`Schedule`], [`Stop`](stop::Stop)); the tasks around them only carry it out.
//! A step that fails is a [`Conclusion`](protocol::Conclusion), never an `Err`.

mod artifacts;
mod caches;
mod cells;
mod channel;
mod context;
mod deadline;
mod dispatcher;
mod environment;
mod exchange;
mod images;
mod job;
mod message;
mod network_uses;
mod outcome;
mod publications;
mod retry;
mod run;
mod schedule;
mod selection;
mod services;
mod step;
mod stop;
mod unsupported;

pub use dispatcher::Dispatcher;
pub use outcome::Fault;
pub use publications::{PublicationError, Publications};
pub use run::{JobEnd, PlanError, Report, Request, Run};
pub use schedule::ScheduleError;
pub use selection::{Selection, SelectionError};
pub use unsupported::Unsupported;

pub(crate) use schedule::Schedule;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use pipelines::Context;
use protocol::{Conclusion, WorkspaceMode};

use crate::artifacts::ArtifactPlace;
use crate::caches::Caches;
use crate::limits::Limits;
use crate::mask::Masks;
use crate::secrets::Secrets;

/// What a run is told beside its plan.
#[derive(Debug)]
pub struct Settings {
    /// How many jobs, and how many steps of one job, may run at once.
    pub parallel: NonZeroUsize,
    /// How long a step has between `SIGTERM` and `SIGKILL`.
    pub grace: Duration,
    /// What steps may use.
    pub limits: Limits,
    /// How steps see the working tree; only told here, the backend carries it out.
    pub workspace: WorkspaceMode,
    /// The event the run is for, as expressions see it.
    pub event: Context,
    /// Variables every step gets, which its own `env` may override.
    pub predefined: IndexMap<String, String>,
    /// What steps may ask for by name.
    pub secrets: Secrets,
    /// What is not to be shown; the secrets are in it.
    pub masks: Arc<Masks>,
    /// Ports of the machine that lead to services.
    pub ports: Publications,
    /// What ran before the plan, somewhere else.
    pub before: Before,
    /// Where artifacts go; `None` where no job has any.
    pub artifacts: Option<ArtifactPlace>,
    /// How many bytes one may have, its files and its archive each.
    pub artifact_bytes: u64,
    /// How many bytes the archives of one job may have together.
    pub artifacts_bytes: u64,
    /// Where caches are; `None` where no job has any.
    pub caches: Option<Caches>,
}

/// What ran before a plan that is a part of one: jobs on other agents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before {
    /// How the jobs ended that the plan's jobs needed and that are not in the plan, and what they left, by what expressions
    /// call them.
    pub needs: IndexMap<String, (Conclusion, IndexMap<String, String>)>,
    /// One of them has failed, and was not allowed to.
    pub failed: bool,
}

#[cfg(test)]
mod tests;
