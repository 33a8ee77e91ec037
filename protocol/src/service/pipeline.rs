//! Pipelines, as users see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{JobSummary, PipelineId, Source, Trigger};
use crate::Conclusion;

/// A pipeline in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PipelineSummary {
    /// Its id.
    pub id: PipelineId,
    /// Its `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where its files are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What it runs for.
    pub trigger: Trigger,
    /// How far it is.
    pub state: PipelineState,
    /// How it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<Conclusion>,
    /// Why it ended without a job having done so: it is not valid, or the event does not start it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was submitted.
    pub created_at: u64,
    /// When its first job started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<u64>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<u64>,
}

/// How far a pipeline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PipelineState {
    /// No job has started.
    Queued,
    /// Some have.
    Running,
    /// All are over.
    Finished,
}

/// A pipeline with its jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pipeline {
    /// What a list says.
    #[serde(flatten)]
    pub summary: PipelineSummary,
    /// In the order of the plan.
    pub jobs: Vec<JobSummary>,
    /// What the compiler had to say, as `agent lint` prints it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub diagnostics: String,
}

/// A page of pipelines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pipelines {
    /// Newest first.
    pub pipelines: Vec<PipelineSummary>,
    /// `before` for the next page, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
