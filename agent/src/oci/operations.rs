//! What can be done with a container that was created.

use super::control::{Answer, Order, ask};
use super::state::{State, Status};
use super::store::Found;
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
/// When it is being made, or over.
pub fn kill(store: &Store, id: &Id, number: i32) -> Result<(), OciError> {
    let found = store.find(id)?;
    let Some(supervisor) = found.supervisor.as_ref() else {
        return Err(wrong(&found, id, "sent a signal"));
    };
    match ask(supervisor, &Order::Signal { number })? {
        Some(Answer::Done { .. }) => Ok(()),
        Some(Answer::Failed { message }) => Err(OciError::Told(message)),
        // It has ended meanwhile.
        None => Err(wrong(&store.find(id)?, id, "sent a signal")),
    }
}

/// Removes what is left of a container that is over, or, by `force`, of any: that there is none is no error then.
///
/// # Errors
/// When it is not over.
pub fn delete(store: &Store, id: &Id, force: bool, log: &Log) -> Result<(), OciError> {
    let look = || match store.find(id) {
        Err(OciError::NoSuchContainer { .. }) if force => Ok(None),
        result => result.map(Some),
    };
    let found = match look() {
        // Nobody can say what it was.
        Err(OciError::System(_)) if force => return store.remove(id),
        result => result?,
    };
    let Some(found) = found else {
        return Ok(());
    };
    if found.status() != Status::Stopped && !force {
        return Err(wrong(&found, id, "deleted"));
    }
    if let Some(supervisor) = found.supervisor.as_ref() {
        // One that has written down the end is about to go, or waits for hooks.
        ask(supervisor, if force { &Order::End } else { &Order::Wait })?;
    }
    // A container that was never created is gone with its supervisor, its hooks called.
    let Some(found) = look()? else {
        return Ok(());
    };
    if !found.remove()? {
        return Ok(());
    }
    let record = found.record.without_supervisor();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(OciError::system("start the async runtime"))?;
    let failures = runtime.block_on(hooks::run_all("poststop", &record.poststop, &record.state));
    for failure in failures {
        log.warning(&failure);
    }
    store.tidy();
    Ok(())
}

fn wrong(found: &Found, id: &Id, operation: &'static str) -> OciError {
    OciError::Status {
        id: id.clone(),
        status: found.status(),
        operation,
    }
}
