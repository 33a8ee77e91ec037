//! Asking a container's supervisor, from another process: a word there, an answer back.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use runtime::message;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::control::{Answer, Order, Uses};
use super::record::{Stage, Status};
use super::{Containers, DoorError, Found, signals};

/// The number of the signal that is called so.
///
/// # Errors
/// When there is none that a container can be sent.
pub fn signal_number(text: &str) -> Result<i32, DoorError> {
    signals::number(text).ok_or_else(|| DoorError::Option {
        option: "--signal",
        text: text.to_owned(),
        problem: "it is no signal that a container can be sent",
    })
}

/// Sends a signal to the command of a running container.
///
/// # Errors
/// When it does not run.
pub fn signal(found: &Found, number: i32) -> Result<(), DoorError> {
    let socket = ask(found, &Order::Signal { number })?;
    is_readable(&socket, None)?;
    match message::receive(&socket) {
        Ok(Some((Answer::Done, _))) => Ok(()),
        // It has ended meanwhile, or does not listen to us.
        _ => Err(DoorError::NotRunning {
            name: found.record.name.clone(),
        }),
    }
}

/// What a container uses now; `None` of one whose command does not run.
///
/// # Errors
/// When its supervisor cannot be asked.
pub fn uses(found: &Found) -> Result<Option<Uses>, DoorError> {
    let socket = match ask(found, &Order::Look) {
        Err(DoorError::NotRunning { .. }) => return Ok(None),
        result => result?,
    };
    is_readable(&socket, None)?;
    match message::receive(&socket) {
        Ok(Some((Answer::Uses(uses), _))) => Ok(uses),
        // It has ended meanwhile.
        _ => Ok(None),
    }
}

/// Waits for a container's end, so long at most; `None` when it has not come by then. As `agent run` exits.
///
/// # Errors
/// When nobody knows how it ended.
pub fn wait(
    containers: &Containers,
    found: &Found,
    limit: Option<Duration>,
) -> Result<Option<u8>, DoorError> {
    if let Stage::Exited { exit_code, .. } = found.record.stage {
        return Ok(Some(exit_code));
    }
    let socket = match ask(found, &Order::Wait) {
        Err(DoorError::NotRunning { .. }) => None,
        result => Some(result?),
    };
    if let Some(socket) = socket {
        if !is_readable(&socket, limit)? {
            return Ok(None);
        }
        if let Ok(Some((Answer::Over(code), _))) = message::receive(&socket) {
            return Ok(Some(code));
        }
    }
    // It has ended between one look and the next, or its supervisor was killed.
    match containers.find(found.record.name.as_str())?.record.stage {
        Stage::Exited { exit_code, .. } => Ok(Some(exit_code)),
        _ => Err(DoorError::Dead {
            name: found.record.name.clone(),
        }),
    }
}

/// Asks a container to end, and ends it when it has not done so after the time it gets.
///
/// # Errors
/// When it does not run.
pub fn stop(containers: &Containers, found: &Found, grace: Duration) -> Result<(), DoorError> {
    signal(found, Signal::TERM.as_raw())?;
    if wait(containers, found, Some(grace))?.is_none() {
        kill(containers, found)?;
    }
    Ok(())
}

/// Removes a container that is over; one that is not, only when `force` has it killed first.
///
/// # Errors
/// When it runs.
pub fn remove(containers: &Containers, found: &Found, force: bool) -> Result<(), DoorError> {
    match found.status {
        Status::Exited | Status::Dead => {}
        Status::Preparing | Status::Running if force => kill(containers, found)?,
        Status::Preparing | Status::Running => {
            return Err(DoorError::Running {
                name: found.record.name.clone(),
            });
        }
    }
    containers.remove(found)
}

fn kill(containers: &Containers, found: &Found) -> Result<(), DoorError> {
    let killed = signal(found, Signal::KILL.as_raw());
    match killed.and_then(|()| wait(containers, found, None)) {
        // It is over, and that is all there is to it.
        Err(
            DoorError::NotRunning { .. }
            | DoorError::Dead { .. }
            | DoorError::NoSuchContainer { .. },
        ) => Ok(()),
        result => result.map(drop),
    }
}

/// Sends an order on a connection of its own, on which the answer comes.
pub(super) fn ask(found: &Found, order: &Order) -> Result<OwnedFd, DoorError> {
    let socket = found.connect()?;
    match message::send(&socket, order, &[]) {
        // It has hung up: it has just ended, or does not listen to us.
        Err(error)
            if [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset]
                .contains(&error.kind()) =>
        {
            Err(DoorError::NotRunning {
                name: found.record.name.clone(),
            })
        }
        Err(error) => Err(DoorError::system("reach the container's supervisor")(error)),
        Ok(()) => Ok(socket),
    }
}

/// Waits until something comes, so long at most.
fn is_readable(socket: &OwnedFd, limit: Option<Duration>) -> Result<bool, DoorError> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(socket, PollFlags::IN)], left.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(DoorError::system("wait for the container")(errno)),
        }
    }
}
