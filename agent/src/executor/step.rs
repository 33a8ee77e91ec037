//! The life of one step.
//!
//! ```text
//! waiting for its image --> told --> running --> ended --> log drained --> StepFinished
//!        '-- cancelled, out of time, no image ---------------------------------^
//! ```

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use pipelines::plan::Step;
use protocol::Event;
use tokio::time::Instant;

use super::context::{CancelLevel, Context, until};
use super::environment;
use super::message::Message;
use super::outcome::StepOutcome;
use super::stop::{Limit, Reason, Signal, Stop};
use crate::backend::{Backend, BackendError, Exit, RunningStep, StepRequest};
use crate::clock::{milliseconds, unix_ms};
use crate::log::{Spool, StepId, Stream, StreamError};

/// A limit and when it is reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    limit: Limit,
}

impl Deadline {
    /// `length` from now; `None` when that is beyond what a clock can tell.
    pub(super) fn after(length: Duration, of_job: bool) -> Option<Self> {
        Some(Self {
            at: Instant::now().checked_add(length)?,
            limit: Limit { length, of_job },
        })
    }
}

/// Runs one step.
#[derive(Debug)]
pub(super) struct StepRunner<'a, B: Backend> {
    pub(super) context: &'a Context<B>,
    pub(super) workspace: &'a B::Workspace,
    pub(super) job: &'a str,
    pub(super) step: &'a Step,
    /// Position in the job.
    pub(super) index: usize,
    /// The job's deadline.
    pub(super) deadline: Option<Deadline>,
}

impl<B: Backend> StepRunner<'_, B> {
    /// Runs the step and tells how it ended.
    pub(super) async fn run(self) -> StepOutcome {
        let image = match self.image().await {
            Ok(image) => image,
            Err(outcome) => {
                self.tell_finish(&outcome, 0);
                return outcome;
            }
        };
        self.context
            .tell_start(Event::StepStarted {
                job: self.job.to_owned(),
                step: self.step.name.clone(),
                index: self.index,
                image: self.step.image.clone(),
                at: unix_ms(),
            })
            .await;
        let started = Instant::now();
        let outcome = self.execute(&image).await;
        self.tell_finish(&outcome, milliseconds(started.elapsed()));
        outcome
    }

    async fn image(&self) -> Result<Arc<B::Image>, StepOutcome> {
        tokio::select! {
            biased;
            () = self.context.cancelled() => Err(StepOutcome::stopped(&Reason::Cancelled)),
            limit = reached(self.deadline) => Err(StepOutcome::stopped(&Reason::Timeout(limit))),
            image = self.context.images.get(&self.step.image) => {
                image.map_err(|error| StepOutcome::from(&error))
            }
        }
    }

    async fn execute(&self, image: &B::Image) -> StepOutcome {
        let (mut stream, output) = match self.open_log() {
            Ok(log) => log,
            Err(error) => return StepOutcome::internal(&error),
        };
        let request = StepRequest {
            image,
            workspace: self.workspace,
            action: &self.step.action,
            env: environment::variables(&self.context.settings.predefined, self.job, self.step),
            workdir: self.step.workdir.as_deref(),
            user: self.step.user.as_deref(),
            hostname: environment::hostname(self.job),
        };
        let mut running = match self.context.backend.start(request, output).await {
            Ok(running) => running,
            Err(error) => return StepOutcome::from(&error),
        };
        let mut log = Log::Flowing(&mut stream);
        let mut stop = Stop::Running;
        let exit = self.supervise(&mut running, &mut log, &mut stop).await;
        // After an error nothing is known about the step: dropping it kills it, and only then does its log end.
        drop(running);
        let drained = match log {
            Log::Flowing(stream) => {
                stream.close();
                stream.finished().await
            }
            Log::Ended => Ok(()),
        };
        match (exit, stop.into_reason(), drained) {
            (Err(error), ..) => StepOutcome::internal(&error),
            (Ok(exit), Some(reason), _) => StepOutcome {
                usage: exit.usage,
                ..StepOutcome::stopped(&reason)
            },
            (Ok(exit), None, Err(error)) => StepOutcome {
                usage: exit.usage,
                ..StepOutcome::internal(&error)
            },
            (Ok(exit), None, Ok(())) => StepOutcome::exited(exit),
        }
    }

    /// Opens the pipe and what its output goes through.
    fn open_log(&self) -> Result<(Stream, OwnedFd), StreamError> {
        let id = Arc::new(StepId {
            job: self.job.to_owned(),
            step: self.step.name.clone(),
            index: self.index,
        });
        let spool = Spool::create(&self.context.logs.log_path(&id))?;
        let (reader, writer) = std::io::pipe().map_err(StreamError::Pipe)?;
        let stream = Stream::start(reader, spool, self.context.queue.clone(), id)?;
        Ok((stream, writer.into()))
    }

    /// Waits for the step's end, and brings it about where time, the user or the log say so.
    async fn supervise(
        &self,
        running: &mut B::Step,
        log: &mut Log<'_>,
        stop: &mut Stop,
    ) -> Result<Exit, BackendError> {
        let grace = self.context.settings.grace;
        let own = self
            .step
            .timeout
            .and_then(|length| Deadline::after(length, false));
        let mut cancel = self.context.cancel.clone();
        // A level that was set before this step began is news as well.
        cancel.mark_changed();
        loop {
            let is_running = stop.is_running();
            let kill_at = stop.kill_at();
            let signal = tokio::select! {
                biased;
                exit = running.wait() => return exit,
                Ok(()) = cancel.changed() => match *cancel.borrow_and_update() {
                    CancelLevel::None => None,
                    CancelLevel::Terminate => stop.ask(Reason::Cancelled, Instant::now(), grace),
                    CancelLevel::Kill => stop.insist(Reason::Cancelled),
                },
                () = until(kill_at) => stop.run_out(),
                limit = reached(own), if is_running => {
                    stop.ask(Reason::Timeout(limit), Instant::now(), grace)
                }
                limit = reached(self.deadline), if is_running => {
                    stop.ask(Reason::Timeout(limit), Instant::now(), grace)
                }
                result = log.ended() => result.err().and_then(|error| stop.insist(Reason::Log(error))),
            };
            match signal {
                None => {}
                Some(Signal::Terminate) => running.terminate()?,
                Some(Signal::Kill) => running.kill()?,
            }
        }
    }

    fn tell_finish(&self, outcome: &StepOutcome, duration_ms: u64) {
        self.context.tell(Message::Event(Event::StepFinished {
            job: self.job.to_owned(),
            step: self.step.name.clone(),
            conclusion: outcome.conclusion,
            cause: outcome.cause.clone(),
            allowed: outcome.allowed_by(self.step),
            duration_ms,
            usage: outcome.usage,
        }));
    }
}

/// A step's log while the step runs. It may end first: a step can close its output and go on.
#[derive(Debug)]
enum Log<'a> {
    Flowing(&'a mut Stream),
    Ended,
}

impl Log<'_> {
    /// Waits for the end of the output; for ever when that has been seen.
    async fn ended(&mut self) -> Result<(), StreamError> {
        match self {
            Self::Flowing(stream) => {
                let result = stream.finished().await;
                *self = Self::Ended;
                result
            }
            Self::Ended => std::future::pending().await,
        }
    }
}

/// Waits until a deadline is reached; for ever if there is none.
async fn reached(deadline: Option<Deadline>) -> Limit {
    match deadline {
        Some(deadline) => {
            until(Some(deadline.at)).await;
            deadline.limit
        }
        None => std::future::pending().await,
    }
}
