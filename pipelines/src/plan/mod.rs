//! What is left of a pipeline when nothing has to be looked up any more.
//!
//! A plan is data: it is compiled once, printed, queued, sent over a wire and executed, and every door of Slipway
//! (a laptop, a runner) executes the same one. Defaults are filled in, `env` is merged, shells are argument vectors,
//! matrices are expanded. What only a run can know stays a [`Template`](crate::expression::Template) or an
//! [`Expression`](crate::expression::Expression), and [`Step::bind`] puts it in.
//! Neighbours: `lower` makes it of the checked syntax tree, the agent's executor reads it.

mod bind;
mod build;
mod cache;
mod command;
mod concurrency;
mod condition;
mod job;
mod matrix;
mod network;
mod resources;
mod retry;
mod service;
mod step;
mod storage;

pub use bind::BindError;
pub use build::Build;
pub use cache::{Cache, CachePath, CachePathError, is_cache_key};
pub use command::{Action, Command};
pub use concurrency::Concurrency;
pub use condition::Condition;
pub use job::Job;
pub use matrix::Cell;
pub use network::Network;
pub use resources::Resources;
pub use retry::{Retry, RetryCause};
pub use service::{Probe, Ready, Service};
pub use step::{Place, Step};
pub use storage::{Artifact, Reports, When, is_artifact_name};

use serde::{Deserialize, Serialize};

/// A compiled pipeline: what has to run, in which order, in which environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// The pipeline's `name`, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why the event does not start this pipeline: a sentence without a full stop. `None` when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_triggered: Option<String>,
    /// Which runs of this pipeline exclude each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// The jobs in the order of the file, each with the cells of its matrix. `needs` between them form an acyclic graph
    /// whose targets all exist.
    pub jobs: Vec<Job>,
}

impl Plan {
    /// Assembles a plan. The jobs must be closed under `needs` and free of cycles; `validate` has seen to that.
    #[must_use]
    pub const fn new(name: Option<String>, jobs: Vec<Job>) -> Self {
        Self {
            name,
            not_triggered: None,
            concurrency: None,
            jobs,
        }
    }
}
