//! Jobs and their attempts, as users see them.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AgentId, JobId, PipelineId, StreamName};
use crate::{Cause, Conclusion};

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobSummary {
    /// Its id.
    pub id: JobId,
    /// The pipeline it is of.
    pub pipeline: PipelineId,
    /// Its id in the pipeline: `test (1.90)`.
    pub name: String,
    /// How far it is.
    pub state: JobState,
    /// For what it waits, while it is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// How it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<Conclusion>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cause: Option<Cause>,
    /// A failure that `allow_failure` keeps from failing the pipeline.
    #[serde(default)]
    pub allowed: bool,
    /// Names of the jobs that it needs.
    pub needs: Vec<String>,
    /// The number of its last attempt; 0 before the first.
    pub attempt: u32,
    /// Who holds it, or held it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// When it was made.
    pub created_at: u64,
    /// When its last attempt was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<u64>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<u64>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits; [`Waiting`] says for what.
    Queued,
    /// An agent was offered it and has not accepted yet.
    Assigned,
    /// An agent has it.
    Running,
    /// It is over.
    Finished,
}

/// For what a queued job waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Waiting {
    /// Jobs that it needs are not over.
    Needs,
    /// A person has to agree.
    Approval,
    /// Another one of its concurrency group runs.
    Concurrency {
        /// The group.
        group: String,
    },
    /// As many cells of its matrix run as may.
    Parallel,
    /// An agent with a free slot.
    Agent,
    /// No agent that is online has these labels.
    Labels {
        /// What it asks for.
        #[schema(value_type = std::collections::HashMap<String, String>)]
        runs_on: IndexMap<String, String>,
    },
    /// Something this program does not know: the server is newer.
    #[serde(other)]
    Unknown,
}

/// A job with its attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// What a list says.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// What an agent needs to run it.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub runs_on: IndexMap<String, String>,
    /// What it has left for others.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub outputs: IndexMap<String, String>,
    /// Names of its steps, then of its `after`.
    pub steps: Vec<String>,
    /// How many of `steps` are `after`.
    #[serde(default)]
    pub after: usize,
    /// Names of its services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// In their order. One that was never accepted is not among them.
    pub attempts: Vec<Attempt>,
}

/// An attempt at a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// Who had it.
    pub agent: AgentId,
    /// How far it is.
    pub state: AttemptState,
    /// How it ended, when it was finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<Conclusion>,
    /// Why it ended, as far as that is known: also of one that was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cause: Option<Cause>,
    /// When it was accepted.
    pub started_at: u64,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<u64>,
    /// How many events it has.
    pub events: u64,
    /// Its logs.
    pub logs: Vec<StreamInfo>,
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// Its agent works on it.
    Running,
    /// Its agent has finished it: everything is there.
    Finished,
    /// Its agent has given it back.
    Released,
    /// Its agent was not heard of for longer than the lease lasts.
    Lost,
}

/// A stream of an attempt's logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamInfo {
    /// Its name.
    pub name: StreamName,
    /// Bytes that have come so far.
    pub length: u64,
    /// No more will come.
    pub complete: bool,
    /// Where bytes lack that were not kept, when the log is longer than is kept: from here ..
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_from: Option<u64>,
    /// .. to before here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_to: Option<u64>,
}

/// A page of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jobs {
    /// Newest first.
    pub jobs: Vec<JobSummary>,
    /// `before` for the next page, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
