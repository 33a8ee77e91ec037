//! What is left of a pipeline when nothing has to be looked up any more.
//!
//! A plan is data: it is compiled once, printed, queued, sent over a wire and executed, and every door of Slipway
//! (a laptop, a runner) executes the same one. Defaults are filled in, `env` is merged, shells are argument vectors.
//! Neighbours: `lower` makes it of the checked syntax tree, the agent's executor reads it.

mod job;
mod step;

pub use job::Job;
pub use step::{Action, Step};

use serde::{Deserialize, Serialize};

/// A compiled pipeline: what has to run, in which order, in which environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// The pipeline's `name`, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The jobs in the order of the file. `needs` between them form an acyclic graph whose targets all exist.
    pub jobs: Vec<Job>,
}

impl Plan {
    /// Assembles a plan. The jobs must be closed under `needs` and free of cycles; `validate` has seen to that.
    #[must_use]
    pub const fn new(name: Option<String>, jobs: Vec<Job>) -> Self {
        Self { name, jobs }
    }
}
