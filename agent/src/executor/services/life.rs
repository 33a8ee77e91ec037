//! The life of one service, from its image to its end.

use std::pin::pin;

use pipelines::plan::Service;
use protocol::{Cause, Conclusion, Event, Protocol};
use tokio::time::Instant;

use super::probe::Subject;
use super::start::{Startable, Started};
use super::{Fallen, Services};
use crate::backend::{Backend, BackendError, Exit, RunningStep};
use crate::clock::{milliseconds, unix_ms};
use crate::executor::channel::Log;
use crate::executor::context::{CancelLevel, until};
use crate::executor::message::Message;
use crate::executor::outcome::StepOutcome;
use crate::executor::stop::{Signal, Stop};
use crate::log::StreamError;
use crate::ports::PublishedPort;

/// One service of a job.
#[derive(Debug)]
pub(super) struct Life<'a, B: Backend> {
    pub(super) of: &'a Services<'a, B>,
    pub(super) service: &'a Service,
}

/// Why a service is stopped.
#[derive(Debug)]
enum Ending {
    /// Nothing needs it any more.
    Over,
    /// It was not ready in time; a [`Cause::NotReady`].
    NotReady(Cause),
    /// Its log cannot be kept.
    Log(StreamError),
}

/// How a service came to its end.
#[derive(Debug)]
struct End {
    exit: Result<Exit, BackendError>,
    stop: Stop<Ending>,
    was_ready: bool,
}

impl<B: Backend> Life<'_, B> {
    /// Lives it, and tells of it.
    pub(super) async fn run(self) {
        let (outcome, duration_ms) = match self.prepare().await {
            Ok(startable) => {
                self.tell(Event::ServiceStarted {
                    job: self.of.job.to_owned(),
                    service: self.service.name.clone(),
                    image: startable.service.command.image.clone(),
                    at: unix_ms(),
                });
                let started = Instant::now();
                let outcome = self.serve(startable, started).await;
                (outcome, milliseconds(started.elapsed()))
            }
            Err(outcome) => (outcome, 0),
        };
        self.tell(Event::ServiceFinished {
            job: self.of.job.to_owned(),
            service: self.service.name.clone(),
            conclusion: outcome.conclusion,
            cause: outcome.cause.clone(),
            duration_ms,
            usage: outcome.usage,
        });
        // Told first, so that whoever fails because of it does so afterwards.
        if let Some(fallen) = Fallen::of(&self.service.name, &outcome) {
            self.of.board.send_modify(|board| board.fall(fallen));
        }
    }

    async fn serve(&self, startable: Startable<B::Image>, since: Instant) -> StepOutcome {
        let Started {
            mut running,
            mut stream,
            resources,
            trial,
            limit,
        } = match self.start(startable).await {
            Ok(started) => started,
            Err(outcome) => return outcome,
        };
        self.tell_ports(running.ports());
        let mut log = Log::Flowing(&mut stream);
        let end = {
            let subject = Subject {
                backend: &*self.of.context.backend,
                workspace: self.of.workspace,
                name: &self.service.name,
            };
            let ready = subject.until_ready(trial, limit);
            self.attend(&mut running, &mut log, ready, since).await
        };
        // After an error nothing is known about the service: dropping it kills it, and only then does its log end.
        drop(running);
        let drained = log.drained().await;
        match (end.exit, end.stop.into_reason(), drained) {
            (Err(error), ..) => StepOutcome::internal(&error),
            (Ok(exit), reason, drained) => {
                let outcome = match (reason, drained) {
                    (Some(Ending::Over), _) if end.was_ready => {
                        StepOutcome::new(Conclusion::Success, None)
                    }
                    (Some(Ending::Over), _) => {
                        StepOutcome::new(Conclusion::Cancelled, Some(Cause::Cancelled))
                    }
                    (Some(Ending::NotReady(cause)), _) => {
                        StepOutcome::new(Conclusion::Failure, Some(cause))
                    }
                    (Some(Ending::Log(error)), _) | (None, Err(error)) => {
                        StepOutcome::unheard(&error)
                    }
                    (None, Ok(())) => ended_by_itself(exit, &resources),
                };
                StepOutcome {
                    usage: exit.usage,
                    ..outcome
                }
            }
        }
    }

    /// Waits for the service's end, tells when it is ready, and stops it when its time has come.
    async fn attend(
        &self,
        running: &mut B::Step,
        log: &mut Log<'_>,
        ready: impl Future<Output = Result<(), Cause>>,
        since: Instant,
    ) -> End {
        let grace = self.of.context.settings.grace;
        let mut ready = pin!(ready);
        let mut cancel = self.of.cancel.clone();
        // A level that was set before is news as well.
        cancel.mark_changed();
        let mut stop = Stop::Running;
        let mut is_waiting = true;
        let mut was_ready = false;
        loop {
            let is_running = stop.is_running();
            let kill_at = stop.kill_at();
            let signal = tokio::select! {
                biased;
                exit = running.wait() => {
                    if *self.of.over.borrow() {
                        // It ended while it was about to be stopped.
                        stop.ask(Ending::Over, Instant::now(), grace);
                    }
                    return End { exit, stop, was_ready };
                }
                Ok(()) = cancel.changed() => match *cancel.borrow_and_update() {
                    CancelLevel::None | CancelLevel::Terminate => None,
                    CancelLevel::Kill => stop.insist(Ending::Over),
                },
                () = until(kill_at) => stop.run_out(),
                () = self.over(), if is_running => {
                    stop.ask(Ending::Over, Instant::now(), grace)
                }
                result = log.ended() => {
                    result.err().and_then(|error| stop.insist(Ending::Log(error)))
                }
                result = &mut ready, if is_waiting && is_running => {
                    is_waiting = false;
                    match result {
                        Ok(()) => {
                            was_ready = true;
                            self.tell_ready(since);
                            None
                        }
                        Err(cause) => stop.ask(Ending::NotReady(cause), Instant::now(), grace),
                    }
                }
            };
            let sent = match signal {
                None => Ok(()),
                Some(Signal::Terminate) => running.terminate(),
                Some(Signal::Kill) => running.kill(),
            };
            if let Err(error) = sent {
                let exit = Err(error);
                return End {
                    exit,
                    stop,
                    was_ready,
                };
            }
        }
    }

    /// Waits until nothing needs the service any more.
    pub(super) async fn over(&self) {
        let mut over = self.of.over.clone();
        // Whoever would set it has gone: nothing needs it either.
        let _ = over.wait_for(|over| *over).await;
    }

    fn tell_ports(&self, ports: &[PublishedPort]) {
        for PublishedPort { port, at } in ports {
            self.tell(Event::PortPublished {
                job: self.of.job.to_owned(),
                service: self.service.name.clone(),
                port: port.container,
                protocol: if port.udp {
                    Protocol::Udp
                } else {
                    Protocol::Tcp
                },
                host: at.ip().to_string(),
                host_port: at.port(),
            });
        }
    }

    fn tell_ready(&self, since: Instant) {
        self.tell(Event::ServiceReady {
            job: self.of.job.to_owned(),
            service: self.service.name.clone(),
            duration_ms: milliseconds(since.elapsed()),
        });
        let name = &self.service.name;
        self.of.board.send_modify(|board| board.ready(name));
    }

    fn tell(&self, event: Event) {
        self.of.context.tell(Message::Event(event));
    }
}

/// A service that ends while it may be needed has failed, whatever it says of itself.
fn ended_by_itself(exit: Exit, resources: &pipelines::plan::Resources) -> StepOutcome {
    let outcome = StepOutcome::exited(exit, resources);
    match outcome.conclusion {
        Conclusion::Success => StepOutcome::new(Conclusion::Failure, Some(Cause::Exit { code: 0 })),
        _ => outcome,
    }
}
