//! What a user wants to run.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{PipelineId, Trigger};

/// A pipeline is to run. The server fetches and compiles it; what is wrong with it makes a pipeline that has failed and
/// has the diagnostics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Submit {
    /// The repository's URL: `https`, `ssh`, and `file` where the server allows it. Without one [`pipeline`](Self::pipeline)
    /// is needed, and jobs start with an empty workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// What to run: a branch, a tag, a full ref or a commit's full id; the repository's `HEAD` otherwise. When the
    /// trigger names a commit, that one is run, and this is where it is found.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The text of a pipeline, in place of the repository's `.pipeline.yml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// What it runs for. What it leaves open (branch, tag, commit, repo) is filled in from the repository.
    #[serde(default)]
    pub trigger: Trigger,
    /// Variables for every step.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub variables: IndexMap<String, String>,
    /// Only these jobs and what they need, by their ids or by their keys under `jobs`; none is all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
    /// Higher ones first, -100 to 100.
    #[serde(default)]
    pub priority: i32,
    /// Chosen by the client, at most [`limits::NAME`](super::limits::NAME) bytes: the same one again, within a day, is answered
    /// with the pipeline that it made the first time. So a lost answer makes no second pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A pipeline is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    /// Its id.
    pub pipeline: PipelineId,
}

/// What of a pipeline or a job runs again. The body may be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Retry {
    /// Also what has succeeded.
    #[serde(default)]
    pub all: bool,
}
