//! `create`: a container whose command waits for `start`, and the supervisor that stays with it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use runtime::detach::{Detached, close_inherited, detach};
use runtime::message;
use serde::{Deserialize, Serialize};

use super::config::Spec;
use super::state::Record;
use super::translate::Plan;
use super::{Id, OciError, Store, supervise};

/// A container to be made.
#[derive(Debug, Clone)]
pub struct Creation<'a> {
    /// Its id.
    pub id: Id,
    /// Its bundle.
    pub bundle: PathBuf,
    /// Where its process id is to be written.
    pub pid_file: Option<PathBuf>,
    /// Who wants its terminal.
    pub console_socket: Option<PathBuf>,
    /// Where it is to be known.
    pub store: &'a Store,
    /// The agent's data directory, which exists.
    pub data: &'a Path,
}

/// Which of the two processes has come back.
#[derive(Debug)]
pub enum Created {
    /// The one that was called; the container is there.
    Caller {
        /// What of the bundle this machine does not hold, for people.
        warnings: Vec<String>,
    },
    /// The supervisor, when the container is over.
    Supervisor,
}

/// What the caller learns from the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Report {
    Created { warnings: Vec<String> },
    Failed { message: String },
}

/// The other end of a supervisor, as long as it listens.
#[derive(Debug)]
pub(super) struct Caller(OwnedFd);

impl Caller {
    /// Tells that the container is there, and lets go of everything that is the caller's.
    pub(super) fn release(self, warnings: Vec<String>) -> Result<(), OciError> {
        let _ = message::send(&self.0, &Report::Created { warnings }, &[]);
        runtime::detach::let_go().map_err(OciError::system("let go of the caller"))
    }
}

/// Makes a container. To be called on the process's only thread, which forks.
///
/// # Errors
/// When there is none.
pub fn create(creation: &Creation<'_>) -> Result<Created, OciError> {
    let bundle =
        std::path::absolute(&creation.bundle).map_err(OciError::disk("find", &creation.bundle))?;
    let bundle: PathBuf = bundle.components().collect();
    let spec = Spec::read(&bundle)?;
    let plan = Plan::of(&spec, &bundle)?;
    match (&plan.terminal, &creation.console_socket) {
        (Some(_), None) => {
            return Err(OciError::Option {
                option: "--console-socket",
                problem: "the bundle's process wants a terminal, and nobody is there to have its other end",
            });
        }
        (None, Some(_)) => {
            return Err(OciError::Option {
                option: "--console-socket",
                problem: "the bundle's process wants no terminal",
            });
        }
        _ => {}
    }
    let record = Record::new(
        creation.id.clone(),
        bundle,
        spec.annotations,
        plan.hooks.poststop.clone(),
    );
    match detach().map_err(OciError::system("detach"))? {
        Detached::Caller(socket) => match message::receive(&socket) {
            Ok(Some((Report::Created { warnings }, _))) => Ok(Created::Caller { warnings }),
            Ok(Some((Report::Failed { message }, _))) => Err(OciError::Told(message)),
            _ => Err(OciError::SupervisorGone),
        },
        Detached::Successor(socket) => {
            go_on(creation, plan, record, socket);
            Ok(Created::Supervisor)
        }
    }
}

fn go_on(creation: &Creation<'_>, plan: Plan, record: Record, socket: OwnedFd) {
    // What the caller has open is the caller's: somebody may wait for its end.
    if let Err(error) = close_inherited(&socket) {
        tracing::warn!(%error, "the caller's descriptors stay open");
    }
    let answer = socket.try_clone();
    if let Err(error) = supervise::supervise(creation, plan, record, Caller(socket)) {
        let mut message = error.to_string();
        for hint in error.hints() {
            message = format!("{message} ({hint})");
        }
        // A caller that listens no more has its container.
        let _ = answer.map(|answer| message::send(&answer, &Report::Failed { message }, &[]));
    }
}
