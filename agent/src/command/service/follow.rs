//! A server's pipeline, shown as if it ran here.
//!
//! ```text
//! Pipeline (asked for now and then) --an attempt begins--> Attempt: follows its events, fetches the logs of its steps --> sink queue
//! ```
//! Of steps that run at once in one job, one is shown after the other: the server has what the others print meanwhile.

use std::collections::{HashSet, VecDeque};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use protocol::service::{
    AttemptId, JobState, Pipeline, PipelineId, PipelineState, StreamName, path,
};
use protocol::{Conclusion, Event};
use tokio::task::JoinSet;

use super::super::CommandError;
use super::super::error::starting;
use super::nothing;
use super::read::{Tail, rest};
use super::wait;
use super::waits::Waits;
use crate::clock::unix_ms;
use crate::executor::Schedule;
use crate::exit_code::ExitCode;
use crate::log::{Chunk, RunDirectory, StepId};
use crate::machine::Machine;
use crate::output::{Stdout, complain};
use crate::sink::{Json, Layout, Plain, Printer, Queue, Sink, Style, Terminal, Verbosity};
use crate::source::{CallError, Client, Follower};

/// How long a server keeps the pipeline until it has changed.
const WAIT: Duration = Duration::from_secs(20);

/// How often the pipeline is looked at where a server does not.
const LOOK: Duration = Duration::from_millis(400);

/// How long a job may wait before that is worth a word.
const WORTH_A_WORD: Duration = Duration::from_secs(2);

/// Shows a pipeline until it is over, and ends as it does.
pub(super) fn pipeline(
    client: &Client,
    id: PipelineId,
    json: bool,
    machine: &Machine,
) -> Result<ExitCode, CommandError> {
    machine.create_data()?;
    let logs = Arc::new(RunDirectory::create(&machine.data, jiff::Timestamp::now())?);
    wait(async {
        let (first, tag) = look(client, id, None).await?;
        if nothing::runs(&first) {
            return Ok(nothing::told(&first));
        }
        if !first.diagnostics.is_empty() {
            complain(first.diagnostics.trim_end());
        }
        let sink = sink(&first, json, machine, &logs)?;
        let stdout = Stdout::open().map_err(starting("open standard output"))?;
        let (tell, mut gone) = tokio::sync::oneshot::channel();
        let printer = Printer::start(sink, stdout, move |error| {
            let _ = tell.send(error);
        })
        .map_err(starting("start the output thread"))?;
        let queue = printer.queue();
        let following = follow(client, first, tag, &queue, &logs);
        let conclusion = tokio::select! {
            conclusion = following => conclusion?,
            _ = tokio::signal::ctrl_c() => {
                complain(format_args!(
                    "pipeline {id} goes on; `agent cancel --pipeline {id}` stops it"
                ));
                return Ok(ExitCode::Cancelled);
            }
            // The reader has seen enough.
            Ok(_) = &mut gone => return Ok(ExitCode::Cancelled),
        };
        printer.finish(None).await;
        Ok(match conclusion {
            Conclusion::Success | Conclusion::Skipped => ExitCode::Success,
            Conclusion::Failure => ExitCode::Failed,
            Conclusion::Cancelled => ExitCode::Cancelled,
            Conclusion::Error => ExitCode::Internal,
        })
    })
}

/// The pipeline and its tag, as soon as that is another one, or after [`WAIT`]; a server that is away is waited for.
async fn look(
    client: &Client,
    id: PipelineId,
    tag: Option<&str>,
) -> Result<(Pipeline, Option<String>), CallError> {
    let address = path::of_pipeline(path::PIPELINE, id);
    if tag.is_some() {
        match client.changed(&address, tag, WAIT).await {
            Ok(Some(changed)) => return Ok(changed),
            // Agents come and go without a change of the pipeline, and what its jobs wait for is another thing then.
            Ok(None) => {}
            // A server without a place for one more who waits is asked now and then.
            Err(error) if error.is_worth_another_attempt() => {
                tokio::time::sleep(error.after().unwrap_or_default()).await;
            }
            Err(error) => return Err(error),
        }
    }
    loop {
        let looking = client.persist("pipeline", || client.changed(&address, None, WAIT));
        if let Some(changed) = looking.await? {
            return Ok(changed);
        }
    }
}

/// Ends when something that is followed has no place at the server: this waits for the pipeline in one.
async fn is_waiting(client: &Client) {
    while !client.is_waiting() {
        tokio::time::sleep(LOOK).await;
    }
}

fn sink(
    pipeline: &Pipeline,
    json: bool,
    machine: &Machine,
    logs: &Arc<RunDirectory>,
) -> Result<Box<dyn Sink>, CommandError> {
    if json {
        return Ok(Box::new(Json::default()));
    }
    let jobs = pipeline.jobs.iter();
    let jobs = jobs.map(|job| (job.name.as_str(), job.needs.as_slice()));
    // Any number of agents may be at it.
    let layout = match Schedule::new(jobs, NonZeroUsize::MAX)?.is_parallel() {
        true => Layout::Jobs,
        false => Layout::Raw,
    };
    let watched = Stdout::is_terminal();
    let style = match watched && !machine.no_colour {
        true => Style::Colour,
        false => Style::Plain,
    };
    let plain = Plain::new(layout, style, Verbosity::Full, Arc::clone(logs));
    Ok(match watched && !machine.no_status_line {
        true => Box::new(Terminal::new(plain, Stdout::width)),
        false => Box::new(plain),
    })
}

async fn follow(
    client: &Client,
    mut pipeline: Pipeline,
    mut tag: Option<String>,
    queue: &Queue,
    logs: &Arc<RunDirectory>,
) -> Result<Conclusion, CommandError> {
    let id = pipeline.summary.id;
    queue.push(Event::RunStarted {
        id: id.to_string(),
        at: unix_ms(),
        pipeline: pipeline.summary.name.clone(),
        jobs: pipeline.jobs.iter().map(|job| job.name.clone()).collect(),
        workspace: None,
        network: None,
    });
    let mut seen = HashSet::new();
    let mut following: JoinSet<Result<Option<String>, CommandError>> = JoinSet::new();
    let mut told = HashSet::new();
    let mut waits = Waits::default();
    let mut unchanged_since = tokio::time::Instant::now();
    loop {
        for job in &pipeline.jobs {
            let has_begun = matches!(job.state, JobState::Running | JobState::Finished);
            let attempt = AttemptId {
                job: job.id,
                attempt: job.attempt,
            };
            if job.attempt == 0 || !has_begun || !seen.insert(attempt) {
                continue;
            }
            if job.attempt > 1 {
                let message = format!(
                    "Job `{}` runs once more: its agent was lost (attempt {}).",
                    job.name, job.attempt
                );
                queue.push(Event::Warning { message });
            }
            let attempt = Attempt {
                client: client.clone(),
                id: attempt,
                job: job.name.clone(),
                queue: queue.clone(),
                logs: Arc::clone(logs),
                active: None,
                waiting: VecDeque::new(),
                told: false,
            };
            following.spawn(attempt.follow());
        }
        if pipeline.summary.state == PipelineState::Finished {
            break;
        }
        let untold = waits.untold(&pipeline);
        tokio::select! {
            () = tokio::time::sleep_until(unchanged_since + WORTH_A_WORD), if !untold.is_empty() => {
                for job in untold {
                    queue.push(waits.tell(client, job).await?);
                }
            }
            Some(result) = following.join_next() => told.extend(result.unwrap_or(Ok(None))?),
            changed = async {
                if let Some(tag) = tag.as_deref().filter(|_| !client.is_waiting()) {
                    tokio::select! {
                        changed = look(client, id, Some(tag)) => return changed,
                        () = is_waiting(client) => {}
                    }
                }
                tokio::time::sleep(LOOK).await;
                look(client, id, None).await
            } => {
                (pipeline, tag) = changed?;
                unchanged_since = tokio::time::Instant::now();
            }
        }
    }
    while let Some(result) = following.join_next().await {
        told.extend(result.unwrap_or(Ok(None))?);
    }
    // Those that never ran, and those whose agents were lost for good.
    for job in pipeline.jobs.iter().filter(|job| !told.contains(&job.name)) {
        queue.push(Event::JobFinished {
            job: job.name.clone(),
            conclusion: job.conclusion.unwrap_or(Conclusion::Skipped),
            cause: job.cause.clone(),
            allowed: job.allowed,
            duration_ms: 0,
        });
    }
    let summary = &pipeline.summary;
    let conclusion = summary.conclusion.unwrap_or(Conclusion::Error);
    let finished = summary.finished_at.unwrap_or(summary.created_at);
    queue.push(Event::RunFinished {
        conclusion,
        duration_ms: finished.saturating_sub(summary.created_at),
    });
    Ok(conclusion)
}

/// A step that is shown.
struct Active {
    step: Arc<StepId>,
    name: StreamName,
    tail: Tail,
}

/// An attempt that is followed.
struct Attempt {
    client: Client,
    id: AttemptId,
    job: String,
    queue: Queue,
    logs: Arc<RunDirectory>,
    active: Option<Active>,
    /// Events of other steps than the one that is shown.
    waiting: VecDeque<Event>,
    /// It has come to an end of its own.
    told: bool,
}

impl Attempt {
    /// Shows it; answers the job if it has told how it ended.
    async fn follow(mut self) -> Result<Option<String>, CommandError> {
        let address = path::of_attempt(path::EVENTS_FOLLOW, self.id);
        let mut follower = Follower::new(&self.client, address, None);
        loop {
            tokio::select! {
                biased;
                news = follower.next() => {
                    let news = news?;
                    if news.event == "end" {
                        break;
                    }
                    match serde_json::from_str(&news.data) {
                        Ok(event) => self.waiting.push_back(event),
                        Err(error) => tracing::debug!(%error, "an event of a newer server"),
                    }
                    self.show().await?;
                }
                piece = grows(&mut self.active) => {
                    let (at, bytes) = piece?;
                    self.take(at, &bytes)?;
                }
                // Without a place for it the log is read now and then.
                () = tokio::time::sleep(WORTH_A_WORD), if self.active.is_some() => {
                    if self.client.is_waiting() {
                        self.pump().await?;
                    }
                }
            }
        }
        // Its agent was lost in the middle of a step.
        while self.active.is_some() {
            self.pump().await?;
            self.active = None;
            self.show().await?;
        }
        Ok(self.told.then_some(self.job))
    }

    /// Shows what can be shown now.
    async fn show(&mut self) -> Result<(), CommandError> {
        while let Some(at) = self.next() {
            let Some(event) = self.waiting.remove(at) else {
                return Ok(());
            };
            match &event {
                Event::RunStarted { .. } | Event::RunFinished { .. } => {}
                Event::StepStarted { step, index, .. } => {
                    let step = StepId {
                        job: self.job.clone(),
                        step: step.clone(),
                        index: *index,
                    };
                    let name = StreamName::step(u32::try_from(*index).unwrap_or(u32::MAX));
                    self.active = Some(Active {
                        step: Arc::new(step),
                        tail: Tail::of(&self.client, self.id, &name, 0),
                        name,
                    });
                    self.queue.push(event);
                }
                Event::StepFinished { .. } => {
                    // Every byte of its log was there before.
                    self.pump().await?;
                    self.active = None;
                    self.queue.push(event);
                }
                Event::JobFinished { .. } => {
                    self.told = true;
                    self.queue.push(event);
                }
                _ => self.queue.push(event),
            }
        }
        Ok(())
    }

    /// The first event that is not about another step than the one that is shown.
    fn next(&self) -> Option<usize> {
        let Some(active) = &self.active else {
            return (!self.waiting.is_empty()).then_some(0);
        };
        self.waiting.iter().position(|event| match event {
            Event::StepStarted { step, .. }
            | Event::StepRetrying { step, .. }
            | Event::StepFinished { step, .. } => *step == active.step.step,
            Event::JobFinished { .. } | Event::RunFinished { .. } => false,
            _ => true,
        })
    }

    /// Fetches what is left of the log of the step that is shown.
    async fn pump(&mut self) -> Result<(), CommandError> {
        let Some(Active { name, tail, .. }) = &self.active else {
            return Ok(());
        };
        let address = path::of_log(path::LOG, self.id, name);
        let (client, mut offset) = (self.client.clone(), tail.offset());
        rest(&client, &address, &mut offset, |at, bytes| {
            self.take(at, bytes)
        })
        .await?;
        if let Some(active) = &mut self.active {
            active.tail.skip_to(offset);
        }
        Ok(())
    }

    /// Keeps a piece of the log of the step that is shown, and shows it.
    fn take(&self, at: u64, bytes: &[u8]) -> Result<(), CommandError> {
        let Some(Active { step, .. }) = &self.active else {
            return Ok(());
        };
        let file = self.logs.log_path(step);
        let open = || {
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent)?;
            }
            let mut options = OpenOptions::new();
            options.append(true).create(true).mode(0o600);
            options.open(&file)?.write_all(bytes)
        };
        open().map_err(starting("keep the log"))?;
        self.queue.push_log(Chunk {
            step: Arc::clone(step),
            offset: at,
            bytes: bytes.to_vec(),
        });
        Ok(())
    }
}

/// What comes of the log of the step that is shown.
async fn grows(active: &mut Option<Active>) -> Result<(u64, Vec<u8>), CommandError> {
    match active {
        Some(active) => active.tail.next().await,
        None => std::future::pending().await,
    }
}
