//! One job in its pipeline's graph, and the states it goes through.
//!
//! ```text
//! Waiting --needs over, `if` holds--> Approval --a person--> Held --group and matrix have room--> Ready
//!    |                                                                                             | offered to an agent
//!    |                       given back, lease over: Ready again, while its tries last             v
//!    |                                       '-----------------------------<-- Running <-accept- Assigned
//!    '--> Finished <------------------------------------------------------------'
//! ```

use std::sync::Arc;

use indexmap::IndexMap;
use pipelines::plan::Job;
use protocol::service::{Need, Waiting};
use protocol::{Cause, Conclusion};
use serde::{Deserialize, Serialize};

/// How far a job is, as the queue sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// What it needs is not over, or its pipeline may not start.
    Waiting,
    /// A person has to agree.
    Approval,
    /// Its matrix has as many running as may, or its group another one.
    Held,
    /// An agent may have it. It has its place in group and matrix.
    Ready,
    /// It was offered to an agent.
    Assigned,
    /// The agent has accepted it.
    Running,
    /// It is over.
    Finished,
}

impl State {
    /// Whether it takes a place of its group and its matrix.
    pub(crate) const fn takes_place(self) -> bool {
        matches!(self, Self::Ready | Self::Assigned | Self::Running)
    }

    /// Whether an agent may have something of it.
    pub(crate) const fn is_with_agent(self) -> bool {
        matches!(self, Self::Assigned | Self::Running)
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) conclusion: Conclusion,
    pub(crate) cause: Option<Cause>,
    pub(crate) outputs: IndexMap<String, String>,
}

impl End {
    pub(crate) fn of(conclusion: Conclusion, cause: Cause) -> Self {
        Self {
            conclusion,
            cause: Some(cause),
            outputs: IndexMap::new(),
        }
    }
}

/// How far somebody has gone in stopping a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stopping {
    #[default]
    No,
    /// Its steps are asked to end.
    Cancel,
    /// They are killed.
    Abort,
}

/// A job.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The job without what it does.
    pub(crate) shape: Arc<Job>,
    pub(crate) state: State,
    /// Given exactly when it is finished.
    pub(crate) end: Option<End>,
    /// A failure that `allow_failure` covers.
    pub(crate) allowed: bool,
    /// It, or what it needs, has failed, and was not allowed to.
    pub(crate) failed: bool,
    pub(crate) approved: bool,
    pub(crate) stopping: Stopping,
    /// The cell whose failure stops it.
    pub(crate) stopped_by: Option<String>,
    /// The name of its group, once its turn has come.
    pub(crate) group: Option<Group>,
    /// What it asks of an agent, once its turn has come.
    pub(crate) runs_on: IndexMap<String, String>,
    /// The last attempt that was offered.
    pub(crate) attempt: u32,
    /// Attempts that were accepted and lost.
    pub(crate) lost: u32,
    /// It is not as it was loaded.
    pub(crate) changed: bool,
}

/// The group of a job or a pipeline: of those of one group one runs at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// A newer one stops the one that runs.
    pub(crate) cancels: bool,
}

impl Node {
    /// A job of a pipeline that is being made: nothing of it is kept yet.
    pub(crate) fn new(shape: Arc<Job>) -> Self {
        Self {
            shape,
            state: State::Waiting,
            end: None,
            allowed: false,
            failed: false,
            approved: false,
            stopping: Stopping::No,
            stopped_by: None,
            group: None,
            runs_on: IndexMap::new(),
            attempt: 0,
            lost: 0,
            changed: true,
        }
    }

    /// Jobs that need it may start.
    pub(crate) fn satisfies(&self) -> bool {
        let conclusion = self.end.as_ref().map(|end| end.conclusion);
        conclusion == Some(Conclusion::Success) || self.allowed
    }

    /// As others read it in `needs`.
    pub(crate) fn as_need(&self) -> Option<Need> {
        let end = self.end.as_ref()?;
        Some(Need {
            conclusion: end.conclusion,
            outputs: end.outputs.clone(),
        })
    }

    /// For what it waits, as a user should know it.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        match (self.state, &self.group) {
            (State::Waiting, _) => Some(Waiting::Needs),
            (State::Approval, _) => Some(Waiting::Approval),
            (State::Held, Some(group)) => Some(Waiting::Concurrency {
                group: group.name.clone(),
            }),
            (State::Held, None) => Some(Waiting::Parallel),
            (State::Ready, _) => Some(Waiting::Agent),
            _ => None,
        }
    }
}
