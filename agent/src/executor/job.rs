//! The life of one job: a workspace, services beside it, and steps in it until one fails.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use indexmap::IndexMap;
use pipelines::plan::{Job, Network, Place, Step};
use protocol::service::limits;
use protocol::{Cause, Conclusion, Event, RunValues, Skip, hears_failures};
use tokio::sync::watch;
use tokio::time::Instant;

use super::context::{CancelLevel, Context};
use super::deadline::Deadline;
use super::message::Message;
use super::network_uses;
use super::outcome::{JobOutcome, StepOutcome};
use super::schedule::Schedule;
use super::services::{self, Board, Obstacle, Services, Watch};
use super::step::StepRunner;
use crate::backend::{Backend, BackendError, JobRequest};
use crate::clock::milliseconds;

/// Whether the next of these, which come later, needs a container that differs from this one's in its command only.
fn is_followed(step: &Step, later: &[Step]) -> bool {
    later.first().is_some_and(|next| {
        next.command.image == step.command.image
            && next.resources == step.resources
            && next.network == step.network
            && next.nesting == step.nesting
    })
}

/// Whether a step is on the network of its job, and so can need the job's services.
const fn is_on_private_network(step: &Step) -> bool {
    matches!(step.network, Network::Default | Network::Allow(_))
}

/// How long a step of `after` may take that has no `timeout`: the job's own time may be over.
const AFTER_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Runs one job, as a task of its own.
#[derive(Debug)]
pub(super) struct JobRunner<B: Backend> {
    pub(super) context: Arc<Context<B>>,
    pub(super) job: Job,
    /// Position in the plan.
    pub(super) index: usize,
    /// Of the job's steps.
    pub(super) schedule: Schedule,
    /// How far the job is being stopped.
    pub(super) cancel: watch::Receiver<CancelLevel>,
    /// What the job's expressions read; its steps are added as they end.
    pub(super) values: RunValues,
    /// Variables that its steps have left for those after them.
    pub(super) left: IndexMap<String, String>,
}

/// What decided how a job ends that did not end well.
#[derive(Debug)]
enum Decisive {
    /// Its services: no step that does not ask how things went was started.
    Services(Obstacle),
    /// A step.
    Step { name: String, outcome: StepOutcome },
}

impl<B: Backend> JobRunner<B> {
    /// Runs the job and tells how it ended.
    pub(super) async fn run(mut self) {
        let started = Instant::now();
        let mut caches = self.plan_caches();
        let outcome = match self.open(caches.directories()).await {
            Err(error) => JobOutcome::internal(error.to_string()),
            Ok(workspace) => {
                self.restore_caches(&workspace, &mut caches).await;
                // What it starts from is not the job's work.
                let length = self.job.timeout;
                let deadline = length.and_then(|length| Deadline::after(length, true));
                let decisive = self.serve(&workspace, deadline).await;
                let outcome = self.conclude(decisive);
                let outcome = self.keep_artifacts(&workspace, outcome).await;
                self.save_caches(&workspace, &caches, outcome.conclusion)
                    .await;
                if let Err(error) = self.context.backend.close_workspace(workspace).await {
                    self.warn(&error);
                }
                outcome
            }
        };
        self.context.tell(Message::JobFinished {
            job: self.index,
            outcome,
            duration_ms: milliseconds(started.elapsed()),
        });
    }

    async fn open(&self, directories: &[String]) -> Result<B::Workspace, BackendError> {
        let steps = self.job.steps.iter().chain(&self.job.after);
        let messages = self.context.messages.clone();
        let request = JobRequest {
            id: &self.job.id,
            on_network: self.job.services.len()
                + steps.filter(|step| is_on_private_network(step)).count(),
            directories,
            uses: network_uses::of_job(&self.job.id, messages),
        };
        self.context.backend.open_workspace(request).await
    }

    /// Runs the job's steps, and its services for as long as steps run.
    async fn serve(
        &mut self,
        workspace: &B::Workspace,
        deadline: Option<Deadline>,
    ) -> Option<Decisive> {
        let (context, cancel) = (Arc::clone(&self.context), self.cancel.clone());
        let (job, place) = (self.job.id.clone(), self.job.place.clone());
        let beside = std::mem::take(&mut self.job.services);
        let values = self.values.clone();
        let (board, news) = watch::channel(Board::of(&beside));
        let (end, over) = watch::channel(false);
        let services = Services {
            context: &context,
            workspace,
            job: &job,
            place: &place,
            services: &beside,
            values: &values,
            cancel: &cancel,
            over: &over,
            board: &board,
        };
        let work = async {
            let passed = services::pass(&news, &cancel, deadline).await;
            let decisive = self
                .run_steps(workspace, deadline, passed.err(), &news)
                .await;
            self.run_after(workspace).await;
            end.send_replace(true);
            decisive
        };
        let (decisive, ()) = tokio::join!(work, services.run());
        decisive
    }

    /// Starts no step but those that ask how things went.
    fn skip_all(&mut self, obstacle: &Obstacle) {
        self.values.fail(&self.job.id);
        let is_cancelled = obstacle.outcome.conclusion == Conclusion::Cancelled;
        let skipped = if is_cancelled {
            self.schedule.withdraw()
        } else {
            self.schedule.withdraw_deaf()
        };
        for index in skipped {
            let (conclusion, cause) = match is_cancelled {
                true => (Conclusion::Cancelled, Cause::Cancelled),
                false => (
                    Conclusion::Skipped,
                    Cause::Skipped(Skip::Service {
                        service: obstacle.service.clone(),
                    }),
                ),
            };
            let name = &self.job.steps[index].name;
            self.values
                .step_ended(name, Conclusion::Skipped, &IndexMap::new());
            let event = unstarted(&self.job.id, name.clone(), conclusion, cause);
            self.context.tell(Message::Event(event));
        }
    }

    /// Runs steps as their schedule lets them. After the first that does not succeed no other is started but those that
    /// ask how things went; after a cancel none at all. An obstacle is as a step before the first.
    async fn run_steps(
        &mut self,
        workspace: &B::Workspace,
        deadline: Option<Deadline>,
        obstacle: Option<Obstacle>,
        services: &watch::Receiver<Board>,
    ) -> Option<Decisive> {
        if let Some(obstacle) = &obstacle {
            self.skip_all(obstacle);
        }
        let Self {
            context,
            job,
            schedule,
            cancel,
            values,
            left,
            ..
        } = self;
        let mut running = FuturesUnordered::new();
        let mut decisive = obstacle.map(Decisive::Services);
        loop {
            while let Some(index) = schedule.start_next() {
                let step = &job.steps[index];
                let runner = StepRunner {
                    context,
                    workspace,
                    job: &job.id,
                    step,
                    index,
                    deadline,
                    cancel,
                    services: watch_of(step, services),
                    values: step_values(values, &context.settings.predefined, left, step),
                    left: left.clone(),
                    counts: true,
                    followed: is_followed(step, &job.steps[index + 1..]),
                };
                running.push(async move { (index, runner.run_if_due().await) });
            }
            let Some((index, outcome)) = running.next().await else {
                return decisive;
            };
            let step = &job.steps[index];
            left.extend(outcome.left.env.clone());
            let skipped_itself = outcome.conclusion == Conclusion::Skipped;
            let satisfied = skipped_itself
                || outcome.conclusion == Conclusion::Success
                || outcome.allowed_by(step);
            values.step_ended(&step.name, outcome.conclusion, &outcome.left.outputs);
            if !satisfied {
                values.fail(&job.id);
            }
            let mut skipped: Vec<usize> = schedule
                .finish(index, satisfied)
                .iter()
                .map(|skipped| skipped.node)
                .collect();
            if !satisfied {
                skipped.extend(schedule.withdraw_deaf());
                if outcome.conclusion == Conclusion::Cancelled {
                    skipped.extend(schedule.withdraw());
                }
                skipped.sort_unstable();
                for index in skipped {
                    let name = &job.steps[index].name;
                    let event = skip(&job.id, name.clone(), &step.name, &outcome);
                    values.step_ended(name, Conclusion::Skipped, &IndexMap::new());
                    context.tell(Message::Event(event));
                }
                decisive.get_or_insert_with(|| Decisive::Step {
                    name: step.name.clone(),
                    outcome,
                });
            }
        }
    }

    /// Runs the steps of `after` one by one, whatever became of the others and of each other; not when somebody wants the
    /// job to stop.
    async fn run_after(&mut self, workspace: &B::Workspace) {
        let count = self.job.steps.len();
        for (number, step) in self.job.after.iter().enumerate() {
            let deadline = match step.timeout {
                Some(_) => None,
                None => Deadline::after(AFTER_TIMEOUT, false),
            };
            let runner = StepRunner {
                context: &self.context,
                workspace,
                job: &self.job.id,
                step,
                index: count + number,
                deadline,
                cancel: &self.cancel,
                services: Watch::none(),
                values: step_values(
                    &self.values,
                    &self.context.settings.predefined,
                    &self.left,
                    step,
                ),
                left: self.left.clone(),
                counts: false,
                followed: is_followed(step, &self.job.after[number + 1..]),
            };
            let outcome = runner.run_if_due().await;
            self.left.extend(outcome.left.env);
            let outputs = &outcome.left.outputs;
            self.values
                .step_ended(&step.name, outcome.conclusion, outputs);
        }
    }

    fn conclude(&self, decisive: Option<Decisive>) -> JobOutcome {
        let (outcome, cause) = match decisive {
            None => return self.succeed(),
            Some(Decisive::Services(obstacle)) => {
                let cause = obstacle.cause();
                (obstacle.outcome, cause)
            }
            Some(Decisive::Step { name, outcome }) => {
                tracing::debug!(job = self.job.id, name, conclusion = ?outcome.conclusion, "a step decided the job");
                let cause = outcome.cause.clone().filter(|_| outcome.job_timed_out);
                (outcome, cause)
            }
        };
        JobOutcome {
            conclusion: outcome.conclusion,
            cause,
            allowed: self.job.allow_failure && outcome.conclusion == Conclusion::Failure,
            fault: outcome.fault,
            machine_fault: outcome.machine_fault(),
            outputs: IndexMap::new(),
            artifacts: Vec::new(),
        }
    }

    /// The end of a job whose steps have all ended well: what it tells the jobs that need it.
    fn succeed(&self) -> JobOutcome {
        let outputs = self.job.outputs.iter().map(|(name, template)| {
            let value = template.text(&self.values);
            let value = value.map_err(|error| {
                let error = format!("output `{name}`: {error}");
                self.job.place.located(error)
            })?;
            Ok((name.clone(), value))
        });
        let outputs = outputs
            .collect::<Result<IndexMap<_, _>, String>>()
            .and_then(|outputs| bounded(outputs, &self.job.place));
        let (conclusion, cause, outputs) = match outputs {
            Ok(outputs) => (Conclusion::Success, None, outputs),
            Err(message) => (
                Conclusion::Failure,
                Some(Cause::Output { message }),
                IndexMap::new(),
            ),
        };
        JobOutcome {
            conclusion,
            cause,
            allowed: self.job.allow_failure && conclusion == Conclusion::Failure,
            fault: None,
            machine_fault: None,
            outputs,
            artifacts: Vec::new(),
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

/// What a step has to hear of the job's services. One that asks how things went takes those that have failed as they are.
fn watch_of(step: &Step, services: &watch::Receiver<Board>) -> Watch {
    if !is_on_private_network(step) {
        Watch::none()
    } else if hears_failures(&step.condition) {
        Watch::those_left(services.clone())
    } else {
        Watch::all(services.clone())
    }
}

/// A job's values with the environment of one of its steps: what was given to all, and what of its own is known already.
fn step_values(
    values: &RunValues,
    predefined: &IndexMap<String, String>,
    left: &IndexMap<String, String>,
    step: &Step,
) -> RunValues {
    let given = predefined
        .iter()
        .chain(left)
        .map(|(name, value)| (name, value.as_str()));
    let own = step.command.env.iter();
    let own = own.filter_map(|(name, value)| Some((name, value.as_literal()?)));
    values.with_env(given.chain(own))
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
    unstarted(job, name, conclusion, cause)
}

/// The end of step `name`, which is not started.
fn unstarted(job: &str, name: String, conclusion: Conclusion, cause: Cause) -> Event {
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

/// The outputs of a job, which every job that needs it is given: not without a bound.
fn bounded(
    outputs: IndexMap<String, String>,
    place: &Place,
) -> Result<IndexMap<String, String>, String> {
    let bytes: usize = outputs
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes <= limits::OUTPUTS {
        return Ok(outputs);
    }
    let error = format!(
        "its outputs have {bytes} bytes, and {} is the most",
        limits::OUTPUTS
    );
    Err(place.located(error))
}
