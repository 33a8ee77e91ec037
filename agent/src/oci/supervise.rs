//! The life of one container, from its bundle to its end.
//!
//! ```text
//! namespaces to share --> zygote --> claim --> mounts, create, hooks --> created --start--> running --> stopped
//!                                                                           '--- orders of others (control) ---'
//! ```

use std::path::Path;
use std::sync::Arc;

use runtime::container::{Container, Created, WaitError};
use runtime::message::Connection;
use runtime::namespace;
use runtime::zygote::{Origin, Zygote};
use rustix::process::Signal;
use tokio::sync::mpsc;

use super::config::Hooks;
use super::control::{self, Answer, Order};
use super::create::{Caller, Creation};
use super::state::{Record, Status};
use super::store::{Place, replace};
use super::translate::Plan;
use super::{OciError, console, hooks};
use crate::enforcement::shortcomings;

/// Makes the container, tells the caller, and stays until it is over. To be called on the process's only thread, which forks.
pub(super) fn supervise(
    creation: &Creation<'_>,
    plan: Plan,
    record: Record,
    caller: Caller,
) -> Result<(), OciError> {
    for share in &plan.shares {
        namespace::enter(&share.path, share.kind).map_err(|source| OciError::Namespace {
            field: share.field.clone(),
            path: share.path.clone(),
            source,
        })?;
    }
    if let Some((host, domain)) = &plan.names {
        namespace::name(host, domain).map_err(OciError::system("name the host"))?;
    }
    for limit in &plan.limits {
        limit.make_room();
    }
    let origin = Origin {
        map: plan.map.clone(),
        beside: true,
    };
    let zygote = Zygote::spawn_from(creation.data, origin)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(OciError::system("start the async runtime"))?;
    let zygote = Arc::new(zygote);
    let outcome = runtime.block_on(live(creation, plan, record, caller, &zygote));
    zygote.end();
    outcome
}

async fn live(
    creation: &Creation<'_>,
    plan: Plan,
    record: Record,
    caller: Caller,
    zygote: &Arc<Zygote>,
) -> Result<(), OciError> {
    let (mut place, listener) = creation.store.claim(record)?;
    let (give, orders) = mpsc::unbounded_channel();
    let server = tokio::spawn(control::serve(listener, give));
    let sweep = tokio::spawn(sweep(Arc::clone(zygote)));
    let warnings = shortcomings(&zygote.enforcement(), &plan.spec.resources);
    let made = make(creation, &plan, &mut place, zygote).await;
    let outcome = match made.and_then(|created| caller.release(warnings).map(|()| created)) {
        Ok(created) => {
            let mut life = Life {
                phase: Phase::Created(created),
                waiting: Vec::new(),
                has_process: plan.has_process,
                hooks: plan.hooks,
                place,
            };
            let ended = life.go_on(orders).await;
            // Only then those who wait for it hear of the end.
            let written = life.place.advance(Status::Stopped, None);
            ended.and(written)
        }
        Err(error) => place.remove().and(Err(error)),
    };
    server.abort();
    let _ = sweep.await;
    outcome
}

/// Removes what killed supervisors have left, beside everything else.
async fn sweep(zygote: Arc<Zygote>) {
    if let Err(error) = zygote.sweep().await {
        tracing::warn!(%error, "the remains of an earlier agent cannot be removed");
    }
}

/// Up to the point where only the command is missing.
async fn make(
    creation: &Creation<'_>,
    plan: &Plan,
    place: &mut Place,
    zygote: &Zygote,
) -> Result<Created, OciError> {
    for one in &plan.held {
        let held = zygote.hold(&one.name, &one.path, one.hold).await;
        held.map_err(|source| OciError::Hold {
            field: one.field.clone(),
            path: one.path.clone(),
            source,
        })?;
    }
    let streams = console::streams(plan.terminal)?;
    let created = zygote.create(&plan.spec, streams).await;
    let mut created = created.map_err(|source| OciError::Container {
        operation: "create",
        source,
    })?;
    let pid = created.handle().pid();
    let pid = pid.map_err(OciError::system("find the container's process id"))?;
    let pid = pid.ok_or(OciError::Ended)?;
    let mut state = place.record.state.clone();
    (state.status, state.pid) = (Status::Created, Some(pid));
    for (list, of_list) in [
        ("prestart", &plan.hooks.prestart),
        ("createRuntime", &plan.hooks.create_runtime),
    ] {
        if let Err(error) = hooks::run(list, of_list, &state).await {
            drop(created);
            (state.status, state.pid) = (Status::Stopped, None);
            hooks::run_all("poststop", &plan.hooks.poststop, &state).await;
            return Err(error);
        }
    }
    if let (Some(terminal), Some(socket)) = (created.take_terminal(), &creation.console_socket) {
        console::pass_on(&terminal, socket)?;
    }
    place.advance(Status::Created, Some(pid))?;
    if let Some(file) = &creation.pid_file {
        write_pid(file, pid)?;
    }
    Ok(created)
}

fn write_pid(file: &Path, pid: i32) -> Result<(), OciError> {
    replace(file, pid.to_string().as_bytes()).map_err(OciError::disk("write", file))
}

/// How far the container is.
enum Phase {
    Created(Created),
    Running(Container),
    /// Its command could not be started.
    Over,
}

/// A container that others know of.
struct Life {
    phase: Phase,
    hooks: Hooks,
    has_process: bool,
    place: Place,
    /// Those who wait for its end.
    waiting: Vec<Connection>,
}

impl Life {
    /// Carries orders out until the container is over.
    async fn go_on(
        &mut self,
        mut orders: mpsc::UnboundedReceiver<(Order, Connection)>,
    ) -> Result<(), OciError> {
        loop {
            let order = tokio::select! {
                ended = end(&mut self.phase) => return Ok(ended?),
                Some(order) = orders.recv() => order,
            };
            match order {
                (Order::Start, connection) => {
                    let answer = match self.start().await {
                        Ok(warnings) => Answer::Done { warnings },
                        Err(error) => Answer::Failed {
                            message: error.to_string(),
                        },
                    };
                    if let Phase::Over = self.phase {
                        self.place.advance(Status::Stopped, None)?;
                    }
                    tell(&connection, &answer).await;
                }
                (Order::Signal { number }, connection) => {
                    self.signal(number);
                    tell(
                        &connection,
                        &Answer::Done {
                            warnings: Vec::new(),
                        },
                    )
                    .await;
                }
                (Order::Wait, connection) => self.waiting.push(connection),
            }
        }
    }

    /// Starts the command; what hooks complain of stops nothing.
    async fn start(&mut self) -> Result<Vec<String>, OciError> {
        let state = &self.place.record.state;
        let created = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Created(created) => created,
            other => {
                self.phase = other;
                return Err(OciError::Status {
                    id: state.id.clone(),
                    status: state.status,
                    operation: "started",
                });
            }
        };
        if !self.has_process {
            return Err(OciError::NoProcess);
        }
        let container = created.start().await;
        let container = container.map_err(|source| OciError::Container {
            operation: "start",
            source,
        })?;
        self.phase = Phase::Running(container);
        let pid = self.place.record.state.pid;
        self.place.advance(Status::Running, pid)?;
        let state = &self.place.record.state;
        Ok(hooks::run_all("poststart", &self.hooks.poststart, state).await)
    }

    fn signal(&self, number: i32) {
        let handle = match &self.phase {
            Phase::Created(created) => created.handle(),
            Phase::Running(container) => container.handle(),
            Phase::Over => return,
        };
        if let Err(error) = handle.signal(number) {
            tracing::warn!(%error, number, "cannot signal the container");
        }
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

async fn tell(connection: &Connection, answer: &Answer) {
    if let Err(error) = connection.send(answer, &[]).await {
        tracing::debug!(%error, "nobody waits for the answer");
    }
}

/// What ends everything in a container.
pub(super) const KILL: i32 = Signal::KILL.as_raw();
