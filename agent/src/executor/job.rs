//! The life of one job: a workspace, and steps in it until one fails.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use pipelines::plan::Job;
use protocol::{Cause, Conclusion, Event, Skip};
use tokio::time::Instant;

use super::context::Context;
use super::message::Message;
use super::outcome::{JobOutcome, StepOutcome};
use super::schedule::Schedule;
use super::step::{Deadline, StepRunner};
use crate::backend::{Backend, BackendError};
use crate::clock::milliseconds;

/// Runs one job, as a task of its own.
#[derive(Debug)]
pub(super) struct JobRunner<B: Backend> {
    pub(super) context: Arc<Context<B>>,
    pub(super) job: Job,
    /// Position in the plan.
    pub(super) index: usize,
    /// Of the job's steps.
    pub(super) schedule: Schedule,
}

/// The step that decided how its job ends.
#[derive(Debug)]
struct Decisive {
    step: String,
    outcome: StepOutcome,
}

impl<B: Backend> JobRunner<B> {
    /// Runs the job and tells how it ended.
    pub(super) async fn run(mut self) {
        let started = Instant::now();
        let deadline = self
            .job
            .timeout
            .and_then(|length| Deadline::after(length, true));
        let outcome = match self.context.backend.open_workspace(&self.job.id).await {
            Err(error) => JobOutcome::internal(error.to_string()),
            Ok(workspace) => {
                let decisive = self.run_steps(&workspace, deadline).await;
                if let Err(error) = self.context.backend.close_workspace(workspace).await {
                    self.warn(&error);
                }
                self.conclude(decisive)
            }
        };
        self.context.tell(Message::JobFinished {
            job: self.index,
            outcome,
            duration_ms: milliseconds(started.elapsed()),
        });
    }

    /// Runs steps as their schedule lets them; after the first that does not succeed no other is started.
    async fn run_steps(
        &mut self,
        workspace: &B::Workspace,
        deadline: Option<Deadline>,
    ) -> Option<Decisive> {
        let Self {
            context,
            job,
            schedule,
            ..
        } = self;
        let mut running = FuturesUnordered::new();
        let mut decisive: Option<Decisive> = None;
        loop {
            while let Some(index) = schedule.start_next() {
                let runner = StepRunner {
                    context,
                    workspace,
                    job: &job.id,
                    step: &job.steps[index],
                    index,
                    deadline,
                };
                running.push(async move { (index, runner.run().await) });
            }
            let Some((index, outcome)) = running.next().await else {
                return decisive;
            };
            let step = &job.steps[index];
            let satisfied = outcome.conclusion == Conclusion::Success || outcome.allowed_by(step);
            let mut skipped: Vec<usize> = schedule
                .finish(index, satisfied)
                .iter()
                .map(|skipped| skipped.node)
                .collect();
            if !satisfied {
                skipped.extend(schedule.withdraw());
                skipped.sort_unstable();
                for index in skipped {
                    let name = job.steps[index].name.clone();
                    context.tell(Message::Event(skip(&job.id, name, &step.name, &outcome)));
                }
                decisive.get_or_insert_with(|| Decisive {
                    step: step.name.clone(),
                    outcome,
                });
            }
        }
    }

    fn conclude(&self, decisive: Option<Decisive>) -> JobOutcome {
        let Some(Decisive { step, outcome }) = decisive else {
            return JobOutcome {
                conclusion: Conclusion::Success,
                cause: None,
                allowed: false,
                fault: None,
            };
        };
        tracing::debug!(job = self.job.id, step, conclusion = ?outcome.conclusion, "a step decided the job");
        JobOutcome {
            conclusion: outcome.conclusion,
            cause: outcome.cause.filter(|_| outcome.job_timed_out),
            allowed: self.job.allow_failure && outcome.conclusion == Conclusion::Failure,
            fault: outcome.fault,
        }
    }

    fn warn(&self, error: &BackendError) {
        let message = format!(
            "The workspace of job `{}` is not cleaned up: {error}.",
            self.job.id
        );
        self.context
            .tell(Message::Event(Event::Warning { message }));
    }
}

/// The end of step `name`, which is not started because `earlier` ended with `outcome`.
fn skip(job: &str, name: String, earlier: &str, outcome: &StepOutcome) -> Event {
    let (conclusion, cause) = match outcome.conclusion {
        Conclusion::Cancelled => (Conclusion::Cancelled, Cause::Cancelled),
        _ => (
            Conclusion::Skipped,
            Cause::Skipped(Skip::EarlierFailure {
                step: earlier.to_owned(),
            }),
        ),
    };
    Event::StepFinished {
        job: job.to_owned(),
        step: name,
        conclusion,
        cause: Some(cause),
        allowed: false,
        duration_ms: 0,
        usage: None,
    }
}
