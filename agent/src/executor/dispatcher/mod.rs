//! The task that owns a run: it starts jobs, hears from them, stops them, and is the only one to order events.

mod stopping;

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use pipelines::plan::{Job, Network, Plan};
use protocol::service::ArtifactEnd;
use protocol::{
    Cause, Conclusion, Decision, Event, EventValues, RunValues, Skip, decide, hears_failures,
};
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::backend::Backend;
use crate::clock::{milliseconds, unix_ms};
use crate::executor::cells::Cells;
use crate::executor::context::{CancelLevel, Context};
use crate::executor::images::Images;
use crate::executor::job::JobRunner;
use crate::executor::message::Message;
use crate::executor::outcome::{Fault, JobOutcome};
use crate::executor::run::{JobEnd, PlanError, Report, Request, Run};
use crate::executor::schedule::{Schedule, ScheduleError, Skipped};
use crate::executor::unsupported;

/// How a job ended, for the jobs that need it.
#[derive(Debug, Clone)]
struct Ended {
    conclusion: Conclusion,
    /// It, or what it needs, has failed, and was not allowed to.
    failed: bool,
    cause: Option<Cause>,
    outputs: IndexMap<String, String>,
    machine_fault: Option<String>,
    artifacts: Vec<ArtifactEnd>,
}

/// Owns the state of one run.
#[derive(Debug)]
pub struct Dispatcher<B: Backend> {
    plan: Plan,
    schedule: Schedule,
    /// The schedule of each job's steps, taken when the job starts.
    steps: Vec<Option<Schedule>>,
    context: Arc<Context<B>>,
    event: Arc<EventValues>,
    messages: mpsc::UnboundedReceiver<Message>,
    requests: mpsc::UnboundedReceiver<Request>,
    /// How far the user has gone in stopping the run.
    level: CancelLevel,
    /// The same for each job that runs; a matrix may stop one by itself.
    cancel: HashMap<usize, watch::Sender<CancelLevel>>,
    cells: Cells,
    /// How each job ended, once it has.
    ended: Vec<Option<Ended>>,
    /// The tasks of running jobs. They report by message; only a panic is learned from the task.
    tasks: JoinSet<()>,
    task_jobs: HashMap<Id, usize>,
    cancelled: bool,
    failed: bool,
    fault: Option<Fault>,
}

impl<B: Backend> Dispatcher<B> {
    /// Prepares a run.
    ///
    /// # Errors
    /// See [`PlanError`]; the compiler makes no such plan for a run.
    pub fn new(run: Run<B>) -> Result<Self, PlanError> {
        unsupported::check(&run.plan)?;
        let parallel = run.settings.parallel;
        let jobs = run.plan.jobs.iter();
        let mut schedule = Schedule::new(
            jobs.clone()
                .map(|job| (job.id.as_str(), job.needs.as_slice())),
            parallel,
        )?;
        for (node, job) in jobs.clone().enumerate() {
            if hears_failures(&job.condition) {
                schedule.hear_failures(node);
            }
        }
        let steps = jobs
            .map(|job| {
                let steps = job.steps.iter();
                let graph = steps.map(|step| (step.name.as_str(), step.needs.as_slice()));
                let mut schedule = Schedule::new(graph, parallel)?;
                for (node, step) in job.steps.iter().enumerate() {
                    if hears_failures(&step.condition) {
                        schedule.hear_failures(node);
                    }
                }
                Ok(Some(schedule))
            })
            .collect::<Result<_, ScheduleError>>()?;
        let (sender, messages) = mpsc::unbounded_channel();
        let context = Arc::new(Context {
            images: Images::new(Arc::clone(&run.backend), sender.clone(), run.queue.clone()),
            backend: run.backend,
            settings: run.settings,
            logs: run.logs,
            queue: run.queue,
            messages: sender,
        });
        Ok(Self {
            cells: Cells::of(&run.plan.jobs),
            ended: vec![None; run.plan.jobs.len()],
            plan: run.plan,
            schedule,
            steps,
            event: EventValues::of(context.settings.event.clone()),
            context,
            messages,
            requests: run.requests,
            level: CancelLevel::None,
            cancel: HashMap::new(),
            tasks: JoinSet::new(),
            task_jobs: HashMap::new(),
            cancelled: false,
            failed: false,
            fault: None,
        })
    }

    /// Runs to the end, whatever the end is.
    pub async fn run(self) -> Report {
        self.run_jobs().await.0
    }

    /// The same; answers how each job ended too, in the plan's order.
    pub async fn run_jobs(mut self) -> (Report, Vec<JobEnd>) {
        let started = Instant::now();
        self.emit(Event::RunStarted {
            id: self.context.logs.id().to_owned(),
            at: unix_ms(),
            pipeline: self.plan.name.clone(),
            jobs: self.plan.jobs.iter().map(|job| job.id.clone()).collect(),
            workspace: Some(self.context.settings.workspace),
            network: Some(network(&self.plan).to_owned()),
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
        // What was never looked at was withdrawn by a cancel.
        let end = |ended: Option<Ended>| match ended {
            Some(ended) => JobEnd {
                conclusion: ended.conclusion,
                cause: ended.cause,
                outputs: ended.outputs,
                machine_fault: ended.machine_fault,
                artifacts: ended.artifacts,
            },
            None => JobEnd {
                conclusion: Conclusion::Cancelled,
                cause: Some(Cause::Cancelled),
                outputs: IndexMap::new(),
                machine_fault: None,
                artifacts: Vec::new(),
            },
        };
        (report, self.ended.into_iter().map(end).collect())
    }

    fn start_jobs(&mut self) {
        while let Some(index) = self.next_job() {
            let job = self.plan.jobs[index].clone();
            let values = self.values(&job);
            match decide(&job.condition, &job.place, &values) {
                Decision::Run => {}
                Decision::Skip(condition) => {
                    let cause = Cause::Skipped(Skip::Condition { condition });
                    self.finish_unstarted(index, Conclusion::Skipped, cause);
                    continue;
                }
                Decision::Mistake(message) => {
                    self.failed = true;
                    let cause = Cause::Start { message };
                    self.finish_unstarted(index, Conclusion::Failure, cause);
                    continue;
                }
            }
            self.emit(Event::JobStarted {
                job: job.id.clone(),
                at: unix_ms(),
            });
            // A schedule hands each node out once.
            let Some(schedule) = self.steps[index].take() else {
                continue;
            };
            self.cells.started(index);
            let (sender, cancel) = watch::channel(self.level);
            self.cancel.insert(index, sender);
            let runner = JobRunner {
                context: Arc::clone(&self.context),
                job,
                index,
                schedule,
                cancel,
                values,
                left: IndexMap::new(),
            };
            let task = self.tasks.spawn(runner.run());
            self.task_jobs.insert(task.id(), index);
        }
    }

    fn next_job(&mut self) -> Option<usize> {
        let cells = &self.cells;
        self.schedule.start_next_of(|job| cells.may_start(job))
    }

    /// What a job's expressions read when its turn has come. Of a matrix it needs, the worst end
    /// counts, and of outputs that several cells have, the last cell's.
    fn values(&self, job: &Job) -> RunValues {
        let before = &self.context.settings.before;
        let mut needs = before.needs.clone();
        let mut failed = before.failed;
        for need in &job.needs {
            let index = self.plan.jobs.iter().position(|job| job.id == *need);
            let Some((key, ended)) = index.and_then(|index| {
                let ended = self.ended[index].as_ref()?;
                Some((self.plan.jobs[index].key(), ended))
            }) else {
                continue;
            };
            failed |= ended.failed;
            let fresh = || (ended.conclusion, IndexMap::new());
            let (worst, outputs) = needs.entry(key.to_owned()).or_insert_with(fresh);
            if *worst == Conclusion::Success {
                *worst = ended.conclusion;
            }
            outputs.extend(ended.outputs.clone());
        }
        let needs = needs.iter();
        let needs = needs.map(|(job, (conclusion, outputs))| (job, *conclusion, outputs));
        let mut values = RunValues::of_job(&self.event, job, needs);
        values.failed = failed;
        values
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
        self.cancel.remove(&index);
        let stopped_by = self.stopped_by(index, outcome.conclusion);
        self.cancelled |= outcome.conclusion == Conclusion::Cancelled && stopped_by.is_none();
        self.failed |= outcome.conclusion == Conclusion::Failure && !outcome.allowed;
        self.fault = self.fault.max(outcome.fault);
        let cause = stopped_by.or_else(|| outcome.cause.clone());
        self.emit(Event::JobFinished {
            job: self.plan.jobs[index].id.clone(),
            conclusion: outcome.conclusion,
            cause: cause.clone(),
            allowed: outcome.allowed,
            duration_ms,
        });
        self.ended[index] = Some(Ended {
            conclusion: outcome.conclusion,
            failed: !outcome.satisfies(),
            cause,
            outputs: outcome.outputs.clone(),
            machine_fault: outcome.machine_fault.clone(),
            artifacts: outcome.artifacts.clone(),
        });
        let has_failed = !outcome.satisfies() && outcome.conclusion != Conclusion::Cancelled;
        let others = self.cells.ended(index, has_failed);
        self.finish(index, outcome.satisfies());
        self.stop_cells(&others);
    }

    /// Takes a job off the schedule, and what can no longer run with it.
    fn finish(&mut self, index: usize, satisfied: bool) {
        for Skipped { node, unmet } in self.schedule.finish(index, satisfied) {
            let unmet = self.plan.jobs[unmet].id.clone();
            let failed = self.ended[index].as_ref().is_some_and(|ended| ended.failed);
            let cause = Cause::Skipped(Skip::Needs { unmet });
            self.ended[node] = Some(Ended {
                conclusion: Conclusion::Skipped,
                failed,
                cause: Some(cause.clone()),
                outputs: IndexMap::new(),
                machine_fault: None,
                artifacts: Vec::new(),
            });
            self.emit_unstarted(node, Conclusion::Skipped, cause);
        }
    }

    /// Ends a job whose turn had come, or was taken, without running it.
    fn finish_unstarted(&mut self, index: usize, conclusion: Conclusion, cause: Cause) {
        self.ended[index] = Some(Ended {
            conclusion,
            failed: conclusion == Conclusion::Failure,
            cause: Some(cause.clone()),
            outputs: IndexMap::new(),
            machine_fault: None,
            artifacts: Vec::new(),
        });
        self.emit_unstarted(index, conclusion, cause);
        self.finish(index, false);
    }

    fn on_panic(&mut self, error: &JoinError) {
        if let Some(&index) = self.task_jobs.get(&error.id()) {
            let outcome = JobOutcome::internal(format!("the job's task ended early: {error}"));
            self.on_job_finished(index, &outcome, 0);
        }
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
        let event = self.context.settings.masks.event(event);
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

/// The word for the networks that steps see: one for all, or `mixed`.
fn network(plan: &Plan) -> &'static str {
    let steps = plan
        .jobs
        .iter()
        .flat_map(|job| job.steps.iter().chain(&job.after));
    let mut words = steps.map(|step| match step.network {
        Network::Default | Network::Allow(_) => "private",
        Network::None => "none",
        Network::Host => "host",
    });
    let first = words.next().unwrap_or("none");
    if words.all(|word| word == first) {
        first
    } else {
        "mixed"
    }
}
