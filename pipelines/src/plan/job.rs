use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Artifact, Cache, Cell, Concurrency, Condition, Place, Reports, Service, Step};
use crate::expression::Template;

/// One job: steps that share a workspace and run on one agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Unique in the plan: the key under `jobs`, or `main` for a pipeline of top-level `steps`. A cell of a matrix has
    /// its values behind the key: `test (1.90, debian:trixie)`.
    pub id: String,
    /// Where it is written.
    #[serde(default, skip_serializing_if = "Place::is_unknown")]
    pub place: Place,
    /// Which cell of which matrix it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<Cell>,
    /// Ids of the jobs that must have succeeded before this one starts; all cells where the need is a matrix.
    pub needs: Vec<String>,
    /// Its `if`.
    #[serde(default, rename = "if", skip_serializing_if = "Condition::is_success")]
    pub condition: Condition,
    /// Labels an agent must have.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub runs_on: IndexMap<String, Template>,
    /// How long the whole job may take; `None` is without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// A failure of this job is shown as "failed (allowed)" and does not fail the pipeline.
    pub allow_failure: bool,
    /// Which jobs exclude each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// A person has to agree before it starts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
    /// Containers beside the steps, in the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// What is restored before and saved after the steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cache: Vec<Cache>,
    /// In the order of the file; never empty.
    pub steps: Vec<Step>,
    /// Steps that run when the others are over, whatever came of them, and that change no conclusion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Step>,
    /// What jobs that need this one read as `needs.JOB.outputs.NAME`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub outputs: IndexMap<String, Template>,
    /// Files that are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// Files that are read.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub reports: Reports,
}

impl Job {
    /// A job of these steps, without settings.
    #[must_use]
    pub fn new(id: &str, steps: Vec<Step>) -> Self {
        Self {
            id: id.to_owned(),
            place: Place::default(),
            cell: None,
            needs: Vec::new(),
            condition: Condition::Success,
            runs_on: IndexMap::new(),
            timeout: None,
            allow_failure: false,
            concurrency: None,
            approval: false,
            services: Vec::new(),
            cache: Vec::new(),
            steps,
            after: Vec::new(),
            outputs: IndexMap::new(),
            artifacts: Vec::new(),
            reports: Reports::new(),
        }
    }

    /// The key under `jobs`: the same for every cell of a matrix.
    #[must_use]
    pub fn key(&self) -> &str {
        self.cell.as_ref().map_or(&self.id, |cell| &cell.job)
    }
}
