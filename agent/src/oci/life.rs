//! A container that others know of, until its end. Orders are carried out beside what takes its time, so that none of them waits
//! for a hook.
//!
//! ```text
//! Created --start: startContainer hooks--> Running --> Over
//!    |                                       '-- poststart hooks, until they are through
//!    '--kill, delete --force-----------------------------^
//! ```

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use runtime::container::{Container, ContainerHandle, Created, Process, WaitError};
use runtime::message::Connection;
use runtime::zygote::Zygote;
use rustix::process::Signal;
use tokio::sync::mpsc;

use super::config::Hooks;
use super::control::{Answer, Order, tell};
use super::inside::Inside;
use super::state::Status;
use super::store::Place;
use super::{Id, OciError, hooks};

/// Orders, and who waits for the answer.
pub(super) type Orders = mpsc::UnboundedReceiver<(Order, Connection)>;

/// Does something while the container is not yet one that orders could be carried out on; `None` when its end is wanted first.
/// Those who wait for the end are added to `waiting`.
pub(super) async fn unless_unwanted<T>(
    id: &Id,
    orders: &mut Orders,
    waiting: &mut Vec<Connection>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    loop {
        let (order, connection) = tokio::select! {
            done = &mut work => return Some(done),
            Some(order) = orders.recv() => order,
        };
        let operation = match order {
            Order::Start => "started",
            Order::Signal { .. } => "sent a signal",
            Order::Wait => {
                waiting.push(connection);
                continue;
            }
            Order::End => {
                waiting.push(connection);
                return None;
            }
        };
        let error = OciError::Status {
            id: id.clone(),
            status: Status::Creating,
            operation,
        };
        tell(&connection, &Answer::from(&error)).await;
    }
}

/// How far the container is.
pub(super) enum Phase {
    /// Only its command is missing.
    Created(Created),
    /// Its command runs.
    Running(Container),
    /// It has ended, or its command could not be started.
    Over,
}

/// Hooks that run, and what they complain of that stops nothing.
type Called = Pin<Box<dyn Future<Output = Result<Vec<String>, OciError>>>>;

/// Hooks that run, and who waits for them.
struct Underway {
    hooks: Called,
    caller: Connection,
}

/// A container that others know of.
pub(super) struct Life {
    pub(super) phase: Phase,
    pub(super) hooks: Hooks,
    /// What is to be started, if anything is.
    pub(super) command: Option<Process>,
    pub(super) zygote: Arc<Zygote>,
    pub(super) place: Place,
    /// Those who wait for its end.
    pub(super) waiting: Vec<Connection>,
}

/// What a life waits for.
enum News {
    Ended(Result<(), WaitError>),
    Hooks(Result<Vec<String>, OciError>),
    Order(Order, Connection),
}

impl Life {
    /// Carries orders out until the container is over and no hook of its start runs any more. Its end is written down then.
    pub(super) async fn go_on(&mut self, orders: &mut Orders) -> Result<(), OciError> {
        let mut underway: Option<Underway> = None;
        loop {
            let over = matches!(self.phase, Phase::Over);
            if over && underway.is_none() {
                return Ok(());
            }
            let news = tokio::select! {
                ended = end(&mut self.phase), if !over => News::Ended(ended),
                outcome = through(underway.as_mut()) => News::Hooks(outcome),
                Some((order, connection)) = orders.recv() => News::Order(order, connection),
            };
            match news {
                News::Ended(ended) => {
                    let begun = matches!(self.phase, Phase::Running(_));
                    self.phase = Phase::Over;
                    self.place.advance(Status::Stopped, None)?;
                    if !begun && let Some(Underway { caller, .. }) = underway.take() {
                        tell(&caller, &Answer::from(&OciError::Ended)).await;
                    }
                    ended?;
                }
                News::Hooks(outcome) => {
                    if let Some(Underway { caller, .. }) = underway.take() {
                        underway = self.started(outcome, caller).await?;
                    }
                }
                News::Order(Order::Start, caller) => match self.start() {
                    Ok(hooks) if underway.is_none() => underway = Some(Underway { hooks, caller }),
                    Ok(_) => tell(&caller, &Answer::from(&self.wrong("started"))).await,
                    Err(error) => {
                        tell(&caller, &Answer::from(&error)).await;
                        // There is nothing to start, now or later.
                        if let OciError::NoProcess = error {
                            self.give_up()?;
                        }
                    }
                },
                News::Order(Order::Signal { number }, caller) => {
                    let answer = match self.handle() {
                        Some(container) => {
                            signal(container, number);
                            Answer::DONE
                        }
                        None => Answer::from(&self.wrong("sent a signal")),
                    };
                    tell(&caller, &answer).await;
                }
                News::Order(Order::End, caller) => {
                    underway = None;
                    self.kill();
                    self.waiting.push(caller);
                }
                News::Order(Order::Wait, caller) => self.waiting.push(caller),
            }
        }
    }

    /// What comes before the command.
    fn start(&self) -> Result<Called, OciError> {
        let Phase::Created(created) = &self.phase else {
            return Err(self.wrong("started"));
        };
        let command = self.command.clone().ok_or(OciError::NoProcess)?;
        let container = created.handle().try_clone();
        let inside = Inside {
            zygote: Arc::clone(&self.zygote),
            container: container
                .map_err(OciError::system("duplicate the container's descriptor"))?,
            command,
            state: self.place.record.state.clone(),
        };
        let hooks = self.hooks.start_container.clone();
        Ok(Box::pin(async move {
            inside.run(&hooks).await.map(|()| Vec::new())
        }))
    }

    /// What comes after hooks: the command, or the answer.
    async fn started(
        &mut self,
        outcome: Result<Vec<String>, OciError>,
        caller: Connection,
    ) -> Result<Option<Underway>, OciError> {
        let created = match (outcome, std::mem::replace(&mut self.phase, Phase::Over)) {
            (Ok(_), Phase::Created(created)) => created,
            (Ok(warnings), later) => {
                self.phase = later;
                tell(&caller, &Answer::Done { warnings }).await;
                return Ok(None);
            }
            (Err(error), phase) => {
                self.phase = phase;
                self.kill();
                tell(&caller, &Answer::from(&error)).await;
                return Ok(None);
            }
        };
        match created.start().await {
            Ok(container) => self.phase = Phase::Running(container),
            Err(source) => {
                let operation = "start";
                // Whoever hears of it finds it written down.
                self.give_up()?;
                let error = OciError::Container { operation, source };
                tell(&caller, &Answer::from(&error)).await;
                return Ok(None);
            }
        }
        let pid = self.place.record.state.pid;
        self.place.advance(Status::Running, pid)?;
        let (hooks, state) = (
            self.hooks.poststart.clone(),
            self.place.record.state.clone(),
        );
        Ok(Some(Underway {
            hooks: Box::pin(async move { Ok(hooks::run_all("poststart", &hooks, &state).await) }),
            caller,
        }))
    }

    /// Ends a container that cannot begin.
    fn give_up(&mut self) -> Result<(), OciError> {
        self.phase = Phase::Over;
        self.place.advance(Status::Stopped, None)
    }

    fn wrong(&self, operation: &'static str) -> OciError {
        let state = &self.place.record.state;
        OciError::Status {
            id: state.id.clone(),
            status: state.status,
            operation,
        }
    }

    fn kill(&self) {
        if let Some(container) = self.handle() {
            signal(container, Signal::KILL.as_raw());
        }
    }

    const fn handle(&self) -> Option<&ContainerHandle> {
        match &self.phase {
            Phase::Created(created) => Some(created.handle()),
            Phase::Running(container) => Some(container.handle()),
            Phase::Over => None,
        }
    }
}

fn signal(container: &ContainerHandle, number: i32) {
    if let Err(error) = container.signal(number) {
        tracing::warn!(%error, number, "cannot signal the container");
    }
}

/// Waits for hooks; for ever when none run.
async fn through(underway: Option<&mut Underway>) -> Result<Vec<String>, OciError> {
    match underway {
        Some(underway) => underway.hooks.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Waits for the end, and until the container's first process has exited by itself: whoever waits for that learns from it how the
/// command ended.
async fn end(phase: &mut Phase) -> Result<(), WaitError> {
    let handle = match phase {
        Phase::Created(created) => {
            created.wait().await?;
            created.handle()
        }
        Phase::Running(container) => {
            container.wait().await?;
            container.handle()
        }
        Phase::Over => return Ok(()),
    };
    Ok(handle.gone().await?)
}
