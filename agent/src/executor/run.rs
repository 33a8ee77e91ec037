//! A run: what it needs, what the world may want of it, and how it ended.

use std::sync::Arc;

use indexmap::IndexMap;
use pipelines::plan::Plan;
use protocol::service::ArtifactEnd;
use protocol::{Cause, Conclusion};
use tokio::sync::mpsc;

use super::Settings;
use super::outcome::Fault;
use super::schedule::ScheduleError;
use super::unsupported::Unsupported;
use crate::log::RunDirectory;
use crate::sink::Queue;

/// Everything a run needs.
#[derive(Debug)]
pub struct Run<B> {
    /// What runs containers.
    pub backend: Arc<B>,
    /// What to run.
    pub plan: Plan,
    /// How.
    pub settings: Settings,
    /// Where logs are kept.
    pub logs: Arc<RunDirectory>,
    /// Where events and output go.
    pub queue: Queue,
    /// What the world wants from the run while it is going on.
    pub requests: mpsc::UnboundedReceiver<Request>,
}

/// What the world wants from a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Stop: steps are asked to end, and killed after the grace period. Asked again, they are killed at once.
    Cancel,
    /// Kill: steps are killed at once.
    Abort,
    /// Stop without a word: nobody reads the output any more.
    OutputLost,
}

/// A plan that is not run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// It asks for what cannot be done.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// Its graphs are not sound.
    #[error("the plan is not sound: {0}")]
    Schedule(#[from] ScheduleError),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// As told by [`Event::RunFinished`]. A job's failure outweighs another's error: running again would not help.
    pub conclusion: Conclusion,
    /// The worst fault of any job.
    pub fault: Option<Fault>,
}

/// How one job of a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnd {
    /// As told by [`Event::JobFinished`].
    pub conclusion: Conclusion,
    /// Likewise.
    pub cause: Option<Cause>,
    /// What it leaves for jobs that need it.
    pub outputs: IndexMap<String, String>,
    /// This machine is to blame, and why: the job may have more luck on another one.
    pub machine_fault: Option<String>,
    /// What is kept of its workspace.
    pub artifacts: Vec<ArtifactEnd>,
}
