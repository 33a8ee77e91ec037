use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Step;

/// One job: steps that share a workspace and run on one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Unique in the plan: the key under `jobs`, or `main` for a pipeline of top-level `steps`.
    pub id: String,
    /// Ids of the jobs that must have succeeded before this one starts.
    pub needs: Vec<String>,
    /// How long the whole job may take; `None` is without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// A failure of this job is shown as "failed (allowed)" and does not fail the pipeline.
    pub allow_failure: bool,
    /// In the order of the file; never empty.
    pub steps: Vec<Step>,
}
