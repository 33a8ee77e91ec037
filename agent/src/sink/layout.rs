//! Whose line is it: how the output of several steps shares one stream.

use std::num::NonZeroUsize;

use pipelines::plan::Plan;

use crate::executor::{Schedule, ScheduleError};

/// How steps' output is told apart. Decided once for a run from its graph, so that what a job prints looks the same
/// however the machine happens to time it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Never two steps at once: bytes are passed on untouched.
    Raw,
    /// Jobs overlap: each line is prefixed with its job.
    Jobs,
    /// Steps within a job overlap, too: each line is prefixed with its job and step.
    Steps,
}

impl Layout {
    /// The layout for `plan` when `parallel` jobs, or steps of a job, may run at once.
    pub fn of(plan: &Plan, parallel: NonZeroUsize) -> Result<Self, ScheduleError> {
        for job in &plan.jobs {
            let steps = job
                .steps
                .iter()
                .map(|step| (step.name.as_str(), step.needs.as_slice()));
            if Schedule::new(steps, parallel)?.is_parallel() {
                return Ok(Self::Steps);
            }
        }
        let jobs = plan
            .jobs
            .iter()
            .map(|job| (job.id.as_str(), job.needs.as_slice()));
        Ok(if Schedule::new(jobs, parallel)?.is_parallel() {
            Self::Jobs
        } else {
            Self::Raw
        })
    }
}
