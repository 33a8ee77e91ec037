//! What jobs of a pipeline wait for, told once to whoever follows it.

use std::collections::HashMap;

use protocol::Event;
use protocol::service::{Job, JobId, JobState, JobSummary, Pipeline, Waiting, path};

use super::show;
use crate::source::{CallError, Client};

/// What has been told of each job.
#[derive(Debug, Default)]
pub(super) struct Waits {
    told: HashMap<JobId, Waiting>,
}

impl Waits {
    /// Jobs that wait for something that has not been told. What another job's end will change is not worth a word.
    pub(super) fn untold<'p>(&self, pipeline: &'p Pipeline) -> Vec<&'p JobSummary> {
        let jobs = pipeline.jobs.iter();
        let is_news = |job: &&JobSummary| {
            let is_worth_a_word = matches!(
                job.waiting,
                Some(
                    Waiting::Approval
                        | Waiting::Agent
                        | Waiting::Labels { .. }
                        | Waiting::Concurrency { .. }
                )
            );
            job.state == JobState::Queued
                && is_worth_a_word
                && self.told.get(&job.id) != job.waiting.as_ref()
        };
        jobs.filter(is_news).collect()
    }

    /// What there is to tell of such a job. Of one that waits for an agent the server is asked whether any has its labels.
    pub(super) async fn tell(
        &mut self,
        client: &Client,
        job: &JobSummary,
    ) -> Result<Event, CallError> {
        if let Some(waiting) = &job.waiting {
            self.told.insert(job.id, waiting.clone());
        }
        let state = show::state(job);
        let reason = match job.waiting {
            Some(Waiting::Approval) => format!("{state}: `agent approve {}`", job.id),
            Some(Waiting::Agent) => {
                let address = path::of_job(path::JOB, job.id);
                let asked: Job = client.persist("job", || client.get(&address)).await?;
                match asked.summary.waiting {
                    Some(Waiting::Labels { .. }) => show::state(&asked.summary),
                    _ => state,
                }
            }
            _ => state,
        };
        Ok(Event::JobWaiting {
            job: job.name.clone(),
            reason,
        })
    }
}
