//! From a bundle to a container that others know of, and to what is left when it is over.
//!
//! ```text
//! namespaces to share --> zygote --> claim --> make --> show: hooks, terminal, pid --> created --> life --> stopped
//!                                                 '--- delete --force, a hook that fails --> removed
//! ```

use std::io;
use std::path::Path;
use std::sync::Arc;

use runtime::container::Created;
use runtime::namespace;
use runtime::zygote::{Origin, Zygote};
use tokio::sync::mpsc;

use super::create::{Caller, Creation};
use super::life::{Life, Phase, unless_unwanted};
use super::state::{Record, Status};
use super::store::Place;
use super::translate::Plan;
use super::{OciError, console, control, hooks};
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
    let (give, mut orders) = mpsc::unbounded_channel();
    let server = tokio::spawn(control::serve(listener, give));
    let sweep = tokio::spawn(sweep(Arc::clone(zygote)));
    // They hear of the end when all of it is written down: when this returns.
    let mut waiting = Vec::new();
    let made = make(&plan, zygote).await;
    let made = match made {
        Ok(created) => {
            let id = place.record.state.id.clone();
            let shown = show(creation, &plan, &mut place, created);
            let shown = unless_unwanted(&id, &mut orders, &mut waiting, shown).await;
            let warnings = shortcomings(&zygote.enforcement(), &plan.spec.resources);
            let shown = shown.unwrap_or(Err(OciError::Ended));
            let known = shown.and_then(|created| caller.release(warnings).map(|()| created));
            if known.is_err() {
                // There has been a container.
                let mut state = place.record.state.clone();
                (state.status, state.pid) = (Status::Stopped, None);
                let called = hooks::run_all("poststop", &plan.hooks.poststop, &state);
                let _ = unless_unwanted(&id, &mut orders, &mut waiting, called).await;
            }
            known
        }
        Err(error) => Err(error),
    };
    let outcome = match made {
        Ok(created) => {
            let mut life = Life {
                phase: Phase::Created(created),
                hooks: plan.hooks,
                command: plan.has_process.then_some(plan.spec.process),
                zygote: Arc::clone(zygote),
                place,
                waiting,
            };
            let ended = life.go_on(&mut orders).await;
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
async fn make(plan: &Plan, zygote: &Zygote) -> Result<Created, OciError> {
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
    created.map_err(|source| OciError::Container {
        operation: "create",
        source,
    })
}

/// Calls the hooks, and gives out what others want of a container that is there.
async fn show(
    creation: &Creation<'_>,
    plan: &Plan,
    place: &mut Place,
    mut created: Created,
) -> Result<Created, OciError> {
    let pid = created.handle().pid();
    let pid = pid.map_err(OciError::system("find the container's process id"))?;
    let pid = pid.ok_or(OciError::Ended)?;
    let mut state = place.record.state.clone();
    (state.status, state.pid) = (Status::Created, Some(pid));
    for (list, of_list) in [
        ("prestart", &plan.hooks.prestart),
        ("createRuntime", &plan.hooks.create_runtime),
    ] {
        hooks::run(list, of_list, &state).await?;
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

/// Replaces a file as a whole.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let file = tempfile::NamedTempFile::new_in(directory)?;
    std::fs::write(file.path(), text)?;
    file.persist(path).map_err(|error| error.error).map(drop)
}
