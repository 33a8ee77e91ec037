//! What can be done with a container that was created.

use super::control::{Answer, Order, ask};
use super::state::{State, Status};
use super::store::Found;
use super::supervise::KILL;
use super::{Id, Log, OciError, Store, hooks};

/// What a container is.
///
/// # Errors
/// When there is none.
pub fn state(store: &Store, id: &Id) -> Result<State, OciError> {
    Ok(store.find(id)?.record.state)
}

/// Starts the command of a container that was created.
///
/// # Errors
/// When it is anything else, or its command cannot be executed.
pub fn start(store: &Store, id: &Id, log: &Log) -> Result<(), OciError> {
    let found = store.find(id)?;
    let Some(supervisor) = found.supervisor.as_ref() else {
        return Err(wrong(&found, id, "started"));
    };
    match ask(supervisor, &Order::Start)? {
        Some(Answer::Done { warnings }) => {
            for warning in warnings {
                log.warning(&warning);
            }
            Ok(())
        }
        Some(Answer::Failed { message }) => Err(OciError::Told(message)),
        None => Err(OciError::Ended),
    }
}

/// Sends a signal to a container that was created or runs.
///
/// # Errors
/// When it is over.
pub fn kill(store: &Store, id: &Id, number: i32) -> Result<(), OciError> {
    let found = store.find(id)?;
    let Some(supervisor) = found.supervisor.as_ref() else {
        return Err(wrong(&found, id, "sent a signal"));
    };
    match ask(supervisor, &Order::Signal { number })? {
        Some(_) => Ok(()),
        // It has ended meanwhile.
        None => Err(wrong(&store.find(id)?, id, "sent a signal")),
    }
}

/// Removes what is left of a container that is over, or, by `force`, of any: that there is none is no error then.
///
/// # Errors
/// When it is not over.
pub fn delete(store: &Store, id: &Id, force: bool, log: &Log) -> Result<(), OciError> {
    let mut found = match store.find(id) {
        Err(OciError::NoSuchContainer { .. }) if force => return Ok(()),
        // Left by a supervisor that was killed before it had written anything down.
        Err(OciError::Disk { .. }) if force => return store.remove(id),
        result => result?,
    };
    if found.status() != Status::Stopped {
        if !force {
            return Err(wrong(&found, id, "deleted"));
        }
        if let Some(supervisor) = found.supervisor.as_ref() {
            ask(supervisor, &Order::Signal { number: KILL })?;
        }
        if let Some(supervisor) = store.find(id)?.supervisor {
            ask(&supervisor, &Order::Wait)?;
        }
        found = store.find(id)?;
    }
    // A supervisor that has written down the end, and is about to go.
    if let Some(supervisor) = found.supervisor.as_ref() {
        ask(supervisor, &Order::Wait)?;
    }
    found.remove()?;
    let record = found.record.without_supervisor();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(OciError::system("start the async runtime"))?;
    let failures = runtime.block_on(hooks::run_all("poststop", &record.poststop, &record.state));
    for failure in failures {
        log.warning(&failure);
    }
    Ok(())
}

fn wrong(found: &Found, id: &Id, operation: &'static str) -> OciError {
    OciError::Status {
        id: id.clone(),
        status: found.status(),
        operation,
    }
}
