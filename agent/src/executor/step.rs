//! The life of one step.
//!
//! ```text
//! waiting for its image --> told --> running --> ended --> log drained --> StepFinished
//!        '-- cancelled, out of time, no image ---------------------------------^
//! ```

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use pipelines::plan::{Command, Step};
use protocol::{Conclusion, Decision, Event, RunValues, decide};
use tokio::sync::watch;
use tokio::time::Instant;

use super::channel::{Channel, Log};
use super::context::{CancelLevel, Context, cancelled, until};
use super::deadline::{Deadline, reached};
use super::environment;
use super::exchange::Left;
use super::message::Message;
use super::outcome::StepOutcome;
use super::retry;
use super::services::Watch;
use super::stop::{Reason, Signal, Stop};
use crate::backend::{Backend, BackendError, Exit, Prepared, RunningStep, StepRequest};
use crate::clock::{milliseconds, unix_ms};
use crate::log::{Outlet, Pulse, StepId, StreamError};
use crate::mask::MaskFile;

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
    /// How far the job is being stopped.
    pub(super) cancel: &'a watch::Receiver<CancelLevel>,
    /// The job's services, as far as the step needs them.
    pub(super) services: Watch,
    /// What the step's expressions read.
    pub(super) values: RunValues,
    /// Variables that earlier steps have left.
    pub(super) left: IndexMap<String, String>,
    /// Whatever becomes of it, the job goes on as it would have.
    pub(super) counts: bool,
    /// A later step of the job differs in its command only.
    pub(super) followed: bool,
}

impl<B: Backend> StepRunner<'_, B> {
    /// Runs the step if its `if` lets it, and tells how it ended.
    pub(super) async fn run_if_due(self) -> StepOutcome {
        let outcome = match decide(&self.step.condition, &self.step.place, &self.values) {
            Decision::Run => return self.run().await,
            Decision::Skip(condition) => StepOutcome::not_due(condition),
            Decision::Mistake(message) => StepOutcome::undecided(message),
        };
        self.tell_finish(&outcome, 0);
        outcome
    }

    /// Runs the step, as often as its `retry` asks for, and tells how it ended.
    pub(super) async fn run(self) -> StepOutcome {
        let (command, image) = match self.prepare().await {
            Ok(prepared) => prepared,
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
                image: command.image.clone(),
                at: unix_ms(),
            })
            .await;
        let started = Instant::now();
        let mut attempt = 1;
        let mut outcome = self.execute(&command, &image.image, attempt).await;
        while self.waits_for_another(&outcome, attempt).await {
            attempt += 1;
            outcome = self.execute(&command, &image.image, attempt).await;
        }
        self.tell_finish(&outcome, milliseconds(started.elapsed()));
        outcome
    }

    /// What the step executes in this run, and its image.
    async fn prepare(&self) -> Result<(Command<String>, Arc<Prepared<B::Image>>), StepOutcome> {
        let command = self
            .step
            .bind(&self.values)
            .map_err(|error| StepOutcome::unbound(self.step, &error))?;
        let image = self.image(&command.image).await?;
        Ok((command, image))
    }

    async fn image(&self, reference: &str) -> Result<Arc<Prepared<B::Image>>, StepOutcome> {
        tokio::select! {
            biased;
            () = cancelled(self.cancel) => Err(StepOutcome::stopped(&Reason::Cancelled)),
            limit = reached(self.deadline) => Err(StepOutcome::stopped(&Reason::Timeout(limit))),
            fallen = self.services.fallen() => Err(StepOutcome::stopped(&Reason::Service(fallen))),
            image = self.context.images.get(reference) => {
                image.map_err(|error| StepOutcome::from(&error))
            }
        }
    }

    /// Whether another attempt is due after this one, once its time has come.
    async fn waits_for_another(&self, outcome: &StepOutcome, attempt: u32) -> bool {
        let Some(retry) = &self.step.retry else {
            return false;
        };
        if attempt > retry.max.get() || !retry::is_worth(retry, outcome) {
            return false;
        }
        self.context.tell(Message::Event(Event::StepRetrying {
            job: self.job.to_owned(),
            step: self.step.name.clone(),
            attempt: attempt + 1,
            attempts: retry.max.get() + 1,
            cause: outcome.cause.clone(),
            delay_ms: milliseconds(retry.delay),
        }));
        tokio::select! {
            biased;
            () = cancelled(self.cancel) => false,
            _ = reached(self.deadline) => false,
            _ = self.services.fallen() => false,
            () = tokio::time::sleep(retry.delay) => true,
        }
    }

    async fn execute(
        &self,
        command: &Command<String>,
        image: &B::Image,
        attempt: u32,
    ) -> StepOutcome {
        let id = Arc::new(StepId {
            job: self.job.to_owned(),
            step: self.step.name.clone(),
            index: self.index,
        });
        let path = self.context.logs.log_path(&id);
        let most = self.context.settings.limits.log();
        let (channel, output) = match Channel::open(&self.context.logs, &path, most, attempt > 1) {
            Ok(opened) => opened,
            Err(error) => return StepOutcome::internal(&error),
        };
        let outlet = Outlet::Shown {
            queue: self.context.queue.clone(),
            step: id,
        };
        let resources = self.context.settings.limits.of(&self.step.resources);
        let network = match self.step.bind_network(&self.values) {
            Ok(network) => network,
            Err(error) => return StepOutcome::unbound(self.step, &error),
        };
        let request = StepRequest {
            name: &self.step.name,
            image,
            workspace: self.workspace,
            action: &command.action,
            env: environment::variables(
                &self.context.settings,
                self.job,
                self.step,
                &self.left,
                &command.env,
            ),
            workdir: command.workdir.as_deref(),
            user: command.user.as_deref(),
            network: &network,
            nesting: self.step.nesting,
            hostname: environment::hostname(self.job),
            resources,
            followed: self.followed,
        };
        let mut running = match self.context.backend.start(request, output).await {
            Ok(running) => running,
            Err(error) => return StepOutcome::from(&error),
        };
        let (exchange, mask) = match running.take_exchange() {
            Some(exchange) => {
                let mask = exchange.mask.try_clone().map(MaskFile::new);
                (Some(exchange), mask.map(Some))
            }
            None => (None, Ok(None)),
        };
        let stream = mask
            .map_err(StreamError::Mask)
            .and_then(|mask| channel.carry(outlet, &self.context.settings.masks, mask));
        // A step whose output cannot be carried is killed by being dropped.
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(error) => return StepOutcome::internal(&error),
        };
        let pulse = stream.pulse();
        let mut log = Log::Flowing(&mut stream);
        let mut stop = Stop::Running;
        let exit = self
            .supervise(
                &mut running,
                &mut log,
                &pulse,
                resources.disk_bytes,
                &mut stop,
            )
            .await;
        // After an error nothing is known about the step: dropping it kills it, and only then does its log end.
        drop(running);
        let drained = log.drained().await;
        match (exit, stop.into_reason(), drained) {
            (Err(error), ..) => StepOutcome::internal(&error),
            (Ok(exit), Some(reason), _) => StepOutcome {
                usage: exit.usage,
                ..StepOutcome::stopped(&reason)
            },
            (Ok(exit), None, Err(error)) => StepOutcome {
                usage: exit.usage,
                ..StepOutcome::unheard(&error)
            },
            (Ok(exit), None, Ok(())) => StepOutcome::exited(exit, &resources)
                .leaving(exchange.map_or_else(|| Ok(Left::default()), Left::read)),
        }
    }

    /// Waits for the step's end, and brings it about where time, the user or the log say so.
    async fn supervise(
        &self,
        running: &mut B::Step,
        log: &mut Log<'_>,
        pulse: &Pulse,
        disk: Option<u64>,
        stop: &mut Stop,
    ) -> Result<Exit, BackendError> {
        let mut overfilled = pin!(self.overfilled(disk));
        let grace = self.context.settings.grace;
        let own = self
            .step
            .timeout
            .and_then(|length| Deadline::after(length, false));
        let mut cancel = self.cancel.clone();
        // A level that was set before this step began is news as well.
        cancel.mark_changed();
        let mut has_room = true;
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
                fallen = self.services.fallen(), if is_running => {
                    stop.ask(Reason::Service(fallen), Instant::now(), grace)
                }
                length = silence(self.step.silence_timeout, pulse), if is_running => {
                    stop.ask(Reason::Silence(length), Instant::now(), grace)
                }
                limit = &mut overfilled, if has_room => {
                    has_room = false;
                    stop.insist(Reason::Workspace(limit))
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

    /// Waits until more was written to the workspace than this; for ever if nobody has said how much.
    async fn overfilled(&self, limit: Option<u64>) -> u64 {
        match limit {
            Some(limit) => {
                self.context.backend.overfilled(self.workspace, limit).await;
                limit
            }
            None => std::future::pending().await,
        }
    }

    fn tell_finish(&self, outcome: &StepOutcome, duration_ms: u64) {
        self.context.tell(Message::Event(Event::StepFinished {
            job: self.job.to_owned(),
            step: self.step.name.clone(),
            conclusion: outcome.conclusion,
            cause: outcome.cause.clone(),
            allowed: outcome.allowed_by(self.step)
                || (!self.counts && outcome.conclusion == Conclusion::Failure),
            duration_ms,
            usage: outcome.usage,
        }));
    }
}

/// Waits until a step has written nothing for as long as it may; for ever if it may.
async fn silence(limit: Option<Duration>, pulse: &Pulse) -> Duration {
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    loop {
        let silent = pulse.last().elapsed();
        match limit.checked_sub(silent) {
            None | Some(Duration::ZERO) => return limit,
            Some(rest) => tokio::time::sleep(rest).await,
        }
    }
}
