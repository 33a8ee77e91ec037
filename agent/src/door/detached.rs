//! A supervisor that goes on when its caller has got the shell back, and what it tells before.

use std::os::fd::OwnedFd;

use runtime::detach::{Detached, detach, let_go};
use runtime::message::{self, Connection};
use serde::{Deserialize, Serialize};

use super::supervise::{Setting, supervise_for};
use super::{DoorError, Ending, Name, Request};
use crate::exit_code::ExitCode;

/// What the caller of a detached container learns of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// Its command runs.
    Runs(Name),
    /// It does not, and why.
    Failed {
        /// For people.
        message: String,
        /// What to do about it.
        hints: Vec<String>,
        /// As `agent run` exits.
        exit_code: u8,
    },
}

/// Which of the two processes has come back.
#[derive(Debug)]
pub enum Parted {
    /// The one that was called.
    Caller(Report),
    /// The one that went on, when the container is over; nobody waits for its exit code.
    Successor(ExitCode),
}

/// The other end of a detached supervisor, as long as it listens.
#[derive(Debug)]
pub(super) struct Caller(OwnedFd);

impl Caller {
    /// Tells that the command runs, and lets go of everything that is the caller's.
    pub(super) fn release(self, name: &Name) -> Result<(), DoorError> {
        // A caller that is gone by now has what it wanted, too.
        let _ = message::send(&self.0, &Report::Runs(name.clone()), &[]);
        let_go().map_err(DoorError::system("let go of the caller"))
    }

    /// Returns when the caller is gone; never when there is none.
    pub(super) async fn gone(caller: Option<&Self>) {
        let connection = caller.and_then(|Self(socket)| socket.try_clone().ok());
        match connection.map(Connection::new) {
            Some(Ok(connection)) => drop(connection.receive::<Report>().await),
            _ => std::future::pending().await,
        }
    }
}

/// Starts a container and returns when its command runs, or does not; in the process that goes on, when it is over. To be
/// called on the process's only thread.
///
/// # Errors
/// When no process can be had.
pub fn run_detached(request: &Request, setting: Setting<'_>) -> Result<Parted, DoorError> {
    match detach().map_err(DoorError::system("detach"))? {
        Detached::Caller(socket) => listen(&socket).map(Parted::Caller),
        Detached::Successor(socket) => Ok(Parted::Successor(go_on(request, setting, socket))),
    }
}

fn listen(socket: &OwnedFd) -> Result<Report, DoorError> {
    match message::receive(socket) {
        Ok(Some((report, _))) => Ok(report),
        Ok(None) => Err(DoorError::SupervisorGone),
        Err(error) => Err(DoorError::system("listen to the container's supervisor")(
            error,
        )),
    }
}

fn go_on(request: &Request, setting: Setting<'_>, socket: OwnedFd) -> ExitCode {
    let answer = socket.try_clone();
    match supervise_for(request, setting, Some(Caller(socket))) {
        Ok(ending) => ending.into(),
        Err(error) => {
            let report = Report::Failed {
                message: error.to_string(),
                hints: error.hints(),
                exit_code: error.ending().code(),
            };
            // A caller that listens no more has seen the command run.
            let _ = answer.map(|answer| message::send(&answer, &report, &[]));
            Ending::Failed.into()
        }
    }
}
