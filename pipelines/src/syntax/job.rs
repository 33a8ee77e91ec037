use indexmap::IndexMap;

use super::{If, Matrix, Settings, Spanned, Step, Text};
use crate::plan::{Artifact, Cache, Concurrency, Reports, Service};

/// A value under `jobs`, or the job that top-level `steps` stand for.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: Spanned<String>,
    /// Defaults for the job's steps; `timeout` is the job's own.
    pub(crate) settings: Settings,
    pub(crate) needs: Vec<Spanned<String>>,
    pub(crate) condition: Option<If>,
    pub(crate) runs_on: IndexMap<String, Text>,
    pub(crate) matrix: Option<Matrix>,
    pub(crate) concurrency: Option<Concurrency<Text>>,
    pub(crate) approval: bool,
    pub(crate) allow_failure: bool,
    pub(crate) services: Vec<Service<Text>>,
    pub(crate) cache: Vec<Cache<Text>>,
    pub(crate) steps: Vec<Step>,
    pub(crate) after: Vec<Step>,
    pub(crate) outputs: IndexMap<String, Text>,
    pub(crate) artifacts: Vec<Artifact<Text>>,
    pub(crate) reports: Reports<Text>,
}

impl Job {
    /// A job without anything in it.
    pub(crate) fn new(id: Spanned<String>) -> Self {
        Self {
            id,
            settings: Settings::default(),
            needs: Vec::new(),
            condition: None,
            runs_on: IndexMap::new(),
            matrix: None,
            concurrency: None,
            approval: false,
            allow_failure: false,
            services: Vec::new(),
            cache: Vec::new(),
            steps: Vec::new(),
            after: Vec::new(),
            outputs: IndexMap::new(),
            artifacts: Vec::new(),
            reports: Reports::new(),
        }
    }
}
