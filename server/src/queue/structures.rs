//! The structures of pipelines that are at work, remembered: reading one again costs as much as its jobs, each time one of
//! them ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Structure;

/// Jobs of all that are remembered, at most.
const MOST: usize = 8_192;

/// By pipeline. What is in it is committed.
#[derive(Debug, Default)]
pub(crate) struct Structures {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_pipeline: HashMap<i64, Arc<Structure>>,
    jobs: usize,
}

impl Structures {
    pub(crate) fn get(&self, pipeline: i64) -> Option<Arc<Structure>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.by_pipeline.get(&pipeline).cloned()
    }

    /// Remembers one. That of a single job is not worth it.
    pub(crate) fn insert(&self, pipeline: i64, structure: &Arc<Structure>) {
        let jobs = structure.shapes.len();
        if !(2..=MOST).contains(&jobs) {
            return;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.jobs + jobs > MOST {
            *known = Known::default();
        }
        let before = known.by_pipeline.insert(pipeline, Arc::clone(structure));
        if before.is_none() {
            known.jobs += jobs;
        }
    }

    /// A pipeline is over.
    pub(crate) fn remove(&self, pipeline: i64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gone) = known.by_pipeline.remove(&pipeline) {
            known.jobs = known.jobs.saturating_sub(gone.shapes.len());
        }
    }

    /// What was to be committed was not.
    pub(crate) fn clear(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known::default();
    }
}
