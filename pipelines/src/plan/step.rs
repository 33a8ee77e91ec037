use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// One step: one command in one fresh container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in the job: the step's `name`, or the first line of its script, numbered where that repeats.
    pub name: String,
    /// Names of the steps of this job that must have ended well before this one starts. A plain list of steps needs
    /// its predecessor each.
    pub needs: Vec<String>,
    /// The image reference as it was written, the job's or the pipeline's default filled in.
    pub image: String,
    /// What the container executes.
    pub action: Action,
    /// Pipeline, job and step `env`, merged in that order (later wins), in order of first appearance.
    pub env: IndexMap<String, String>,
    /// As written: relative to the workspace, or absolute in the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// `user`, `uid`, `user:group` or `uid:gid`, as written; `None` leaves it to the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How long the step may take; `None` leaves it to the job's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// A failure of this step is shown as "failed (allowed)" and does not fail the job.
    pub allow_failure: bool,
}

/// What a step's container executes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// `run`: a script file, handed to a shell as its last argument.
    Script {
        /// The script's text; a list of commands joined by newlines.
        script: String,
        /// The shell's argument vector without the script, for example `["sh", "-e"]`. Never empty.
        shell: Vec<String>,
    },
    /// No `run`: the image's own entrypoint and command.
    Entrypoint,
}
