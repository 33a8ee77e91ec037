//! A job on its way to an agent.

use std::fmt;

use indexmap::IndexMap;
use pipelines::plan::Plan;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AttemptId, PipelineId, SecretText, Trigger, Withheld};
use crate::Conclusion;

/// Everything an agent needs to run a job. Not its until it has accepted it.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Assignment {
    /// The job and the attempt: in their name everything is sent.
    #[serde(flatten)]
    pub id: AttemptId,
    /// The pipeline that the job is of: what `CI_PIPELINE_ID` says in its steps.
    pub pipeline: PipelineId,
    /// How long what holds.
    pub terms: Terms,
    /// A plan with this one job. Its `needs` still name what it needed, which is in [`needs`](Self::needs); its `if`, its
    /// approval and its concurrency are the server's business and have been decided: they are not in it any more.
    #[schema(value_type = Object)]
    pub plan: Plan,
    /// How the jobs that it needs have ended, by what expressions call them (a matrix is one). In the order of the file.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, Need>)]
    pub needs: IndexMap<String, Need>,
    /// What `failure()` says before the first step: something that it needs has failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// What the pipeline runs for.
    pub trigger: Trigger,
    /// Where the files are; `None` is an empty workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Variables for every step, beside the predefined ones; a step's own `env` wins.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub variables: IndexMap<String, String>,
    /// Values of the secrets that the job's steps and services name. Never on an agent's disk.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub secrets: IndexMap<String, SecretText>,
    /// Those that they name and do not get, and why.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, Withheld>)]
    pub withheld: IndexMap<String, Withheld>,
    /// To which trace the job's spans belong (W3C Trace Context, `traceparent`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// How the jobs of one key under `jobs` have ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Need {
    /// Of a matrix the first that is not success.
    pub conclusion: Conclusion,
    /// Of outputs that several cells have, the last cell's.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub outputs: IndexMap<String, String>,
}

/// What to check out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Source {
    /// The repository's URL, without credentials in it.
    pub url: String,
    /// The commit's full id.
    pub commit: String,
    /// The ref to fetch when the repository does not hand out commits by their ids: `refs/heads/main`,
    /// `refs/pull/3/merge`.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// How long what holds, and how much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Terms {
    /// How long the agent has to accept, milliseconds.
    pub accept_ms: u64,
    /// How long its lease lasts behind a heartbeat, milliseconds.
    pub lease_ms: u64,
    /// How often a heartbeat is due, milliseconds.
    pub heartbeat_ms: u64,
    /// How much of one log the server keeps, bytes. Everything is to be sent all the same: it is checked, and of what is
    /// longer head and tail are kept.
    pub log_bytes: u64,
    /// How many bytes the archive of an artifact may have. 0: the server takes none.
    #[serde(default)]
    pub artifact_bytes: u64,
    /// How many bytes the archives of all artifacts of the attempt may have together.
    #[serde(default = "boundless")]
    pub artifacts_bytes: u64,
    /// How many bytes the archive of a cache may have. 0: the server has none.
    #[serde(default)]
    pub cache_bytes: u64,
}

/// Of a server that has no such bound.
const fn boundless() -> u64 {
    u64::MAX
}

impl fmt::Debug for Assignment {
    /// Without the values of secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assignment")
            .field("id", &self.id)
            .field("pipeline", &self.pipeline)
            .field("source", &self.source)
            .field("secrets", &self.secrets.keys())
            .finish_non_exhaustive()
    }
}
