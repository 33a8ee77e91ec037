//! The task that owns a run: it starts jobs, hears from them, stops them, and is the only one to order events.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pipelines::plan::Plan;
use protocol::{Cause, Conclusion, Event, Skip};
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::Settings;
use super::context::{CancelLevel, Context};
use super::images::Images;
use super::job::JobRunner;
use super::message::Message;
use super::outcome::{Fault, JobOutcome};
use super::schedule::{Schedule, ScheduleError, Skipped};
use crate::backend::Backend;
use crate::clock::{milliseconds, unix_ms};
use crate::log::RunDirectory;
use crate::sink::{Queue, duration};

/// How long a cancelled run waits for a sink that does not move, such as a terminal stopped with Ctrl-S.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same when it was cancelled again.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// Everything a run needs.
#[derive(Debug)]
pub struct Run<B> {
    /// What runs containers.
    pub backend: Arc<B>,
    /// What to run.
    pub plan: Plan,
    /// How.
    pub settings: Settings,
    /// Where logs are kept.
    pub logs: Arc<RunDirectory>,
    /// Where events and output go.
    pub queue: Queue,
    /// What the world wants from the run while it is going on.
    pub requests: mpsc::UnboundedReceiver<Request>,
}

/// What the world wants from a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Stop: steps are asked to end, and killed after the grace period. Asked again, they are killed at once.
    Cancel,
    /// Stop without a word: nobody reads the output any more.
    OutputLost,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// As told by [`Event::RunFinished`]. A job's failure outweighs another's error: running again would not help.
    pub conclusion: Conclusion,
    /// The worst fault of any job.
    pub fault: Option<Fault>,
}

/// Owns the state of one run.
#[derive(Debug)]
pub struct Dispatcher<B: Backend> {
    plan: Plan,
    schedule: Schedule,
    /// The schedule of each job's steps, taken when the job starts.
    steps: Vec<Option<Schedule>>,
    context: Arc<Context<B>>,
    messages: mpsc::UnboundedReceiver<Message>,
    requests: mpsc::UnboundedReceiver<Request>,
    cancel: watch::Sender<CancelLevel>,
    /// The tasks of running jobs. They report by message; only a panic is learned from the task.
    tasks: JoinSet<()>,
    task_jobs: HashMap<Id, usize>,
    cancelled: bool,
    failed: bool,
    fault: Option<Fault>,
}

impl<B: Backend> Dispatcher<B> {
    /// Prepares a run; fails only for a plan whose graphs are not sound.
    pub fn new(run: Run<B>) -> Result<Self, ScheduleError> {
        let parallel = run.settings.parallel;
        let jobs = run.plan.jobs.iter();
        let schedule = Schedule::new(
            jobs.clone()
                .map(|job| (job.id.as_str(), job.needs.as_slice())),
            parallel,
        )?;
        let steps = jobs
            .map(|job| {
                let steps = job.steps.iter();
                let graph = steps.map(|step| (step.name.as_str(), step.needs.as_slice()));
                Schedule::new(graph, parallel).map(Some)
            })
            .collect::<Result<_, _>>()?;
        let (sender, messages) = mpsc::unbounded_channel();
        let (cancel, level) = watch::channel(CancelLevel::None);
        let context = Arc::new(Context {
            images: Images::new(Arc::clone(&run.backend), sender.clone(), run.queue.clone()),
            backend: run.backend,
            settings: run.settings,
            logs: run.logs,
            queue: run.queue,
            messages: sender,
            cancel: level,
        });
        Ok(Self {
            plan: run.plan,
            schedule,
            steps,
            context,
            messages,
            requests: run.requests,
            cancel,
            tasks: JoinSet::new(),
            task_jobs: HashMap::new(),
            cancelled: false,
            failed: false,
            fault: None,
        })
    }

    /// Runs to the end, whatever the end is.
    pub async fn run(mut self) -> Report {
        let started = Instant::now();
        self.emit(Event::RunStarted {
            id: self.context.logs.id().to_owned(),
            at: unix_ms(),
            pipeline: self.plan.name.clone(),
            jobs: self.plan.jobs.iter().map(|job| job.id.clone()).collect(),
            workspace: self.context.settings.workspace,
            network: self.context.settings.network.clone(),
        });
        self.start_jobs();
        while !self.schedule.is_done() {
            tokio::select! {
                biased;
                Some(request) = self.requests.recv() => self.on_request(request),
                Some(message) = self.messages.recv() => self.on_message(message),
                Some(Err(error)) = self.tasks.join_next() => self.on_panic(&error),
            }
            self.start_jobs();
        }
        while self.tasks.join_next().await.is_some() {}
        self.context.images.close().await;
        self.context.backend.end();
        let report = self.report();
        self.emit(Event::RunFinished {
            conclusion: report.conclusion,
            duration_ms: milliseconds(started.elapsed()),
        });
        report
    }

    fn start_jobs(&mut self) {
        while let Some(index) = self.schedule.start_next() {
            let job = self.plan.jobs[index].clone();
            self.emit(Event::JobStarted {
                job: job.id.clone(),
                at: unix_ms(),
            });
            // A schedule hands each node out once.
            let Some(schedule) = self.steps[index].take() else {
                continue;
            };
            let runner = JobRunner {
                context: Arc::clone(&self.context),
                job,
                index,
                schedule,
            };
            let task = self.tasks.spawn(runner.run());
            self.task_jobs.insert(task.id(), index);
        }
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Event(event) => self.emit(event),
            Message::StepStarting { event, told } => {
                self.emit(event);
                // The step may have been dropped with its job.
                let _ = told.send(());
            }
            Message::JobFinished {
                job,
                outcome,
                duration_ms,
            } => self.on_job_finished(job, &outcome, duration_ms),
        }
    }

    fn on_job_finished(&mut self, index: usize, outcome: &JobOutcome, duration_ms: u64) {
        self.task_jobs.retain(|_, job| *job != index);
        self.cancelled |= outcome.conclusion == Conclusion::Cancelled;
        self.failed |= outcome.conclusion == Conclusion::Failure && !outcome.allowed;
        self.fault = self.fault.max(outcome.fault);
        self.emit(Event::JobFinished {
            job: self.plan.jobs[index].id.clone(),
            conclusion: outcome.conclusion,
            cause: outcome.cause.clone(),
            allowed: outcome.allowed,
            duration_ms,
        });
        for Skipped { node, unmet } in self.schedule.finish(index, outcome.satisfies()) {
            let unmet = self.plan.jobs[unmet].id.clone();
            self.emit_unstarted(
                node,
                Conclusion::Skipped,
                Cause::Skipped(Skip::Needs { unmet }),
            );
        }
    }

    fn on_panic(&mut self, error: &JoinError) {
        if let Some(&index) = self.task_jobs.get(&error.id()) {
            let outcome = JobOutcome::internal(format!("the job's task ended early: {error}"));
            self.on_job_finished(index, &outcome, 0);
        }
    }

    fn on_request(&mut self, request: Request) {
        let level = match *self.cancel.borrow() {
            CancelLevel::None => CancelLevel::Terminate,
            CancelLevel::Terminate | CancelLevel::Kill => CancelLevel::Kill,
        };
        self.context.queue.hurry(match level {
            CancelLevel::None | CancelLevel::Terminate => PATIENCE,
            CancelLevel::Kill => LAST_PATIENCE,
        });
        if level == CancelLevel::Terminate {
            if request == Request::Cancel {
                let grace = duration(milliseconds(self.context.settings.grace));
                self.emit(Event::Warning {
                    message: format!(
                        "Cancelled: running steps have {grace} to end; cancel again to kill them."
                    ),
                });
            }
            for index in self.schedule.withdraw() {
                self.cancelled = true;
                self.emit_unstarted(index, Conclusion::Cancelled, Cause::Cancelled);
            }
        }
        self.cancel.send_replace(level);
    }

    /// Tells the end of a job that never started.
    fn emit_unstarted(&self, index: usize, conclusion: Conclusion, cause: Cause) {
        self.emit(Event::JobFinished {
            job: self.plan.jobs[index].id.clone(),
            conclusion,
            cause: Some(cause),
            allowed: false,
            duration_ms: 0,
        });
    }

    fn emit(&self, event: Event) {
        self.context.queue.push(event);
    }

    const fn report(&self) -> Report {
        let conclusion = if self.cancelled {
            Conclusion::Cancelled
        } else if self.failed {
            Conclusion::Failure
        } else if self.fault.is_some() {
            Conclusion::Error
        } else {
            Conclusion::Success
        };
        Report {
            conclusion,
            fault: self.fault,
        }
    }
}
