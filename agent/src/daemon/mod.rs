//! `agent start`: asks a server for jobs and has them run, each in a process of its own.
//!
//! ```text
//! Daemon (owns what is held) --Acquire, one at a time--> server
//!    |  ^  '--Heartbeat, for everything that is held--> server
//!    |  '-- News
//!    '-- Word --> Attempt, a task each --> Process (`agent job`)
//!                                    '--> Upload (follows its spool)
//! ```
//! One thread. A server that is away is waited for: jobs go on, and what they leave is on the disk.

mod attempt;
mod cache;
mod fitness;
mod identity;
mod offer;
mod process;
mod signals;
mod upload;
mod work;

use std::fmt::Display;
use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use protocol::service::AgentDescription;

pub use identity::IdentityError;

use crate::caches::Store;
use crate::output::complain;
use crate::source::{CallError, Client};
use signals::Signals;
use work::Daemon;

/// With this the process ends that looks whether the host can run containers, and it cannot.
const HOST_UNSUPPORTED: i32 = 77;

/// How an agent is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where everything is kept; exists.
    pub data: PathBuf,
    /// What it says it is.
    pub description: AgentDescription,
    /// What it registers with.
    pub token: Option<String>,
    /// So much of the disk must be free before it takes a job, bytes.
    pub free_disk: u64,
    /// Where archives of caches are.
    pub caches: Store,
}

/// Why an agent cannot work.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// It is nobody to the server.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// This host cannot run containers: what it lacks, and what to do.
    #[error("{0}")]
    Host(String),
    /// Another one is at work.
    #[error("another `agent start` uses the data directory {0}")]
    Busy(PathBuf),
    /// The machine.
    #[error("failed to {operation}: {source}")]
    Machine {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The server does not give it jobs, and will not.
    #[error("the server gives this agent no jobs: {0}")]
    Refused(#[source] CallError),
}

fn machine(operation: &'static str) -> impl FnOnce(io::Error) -> DaemonError {
    move |source| DaemonError::Machine { operation, source }
}

/// How an agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything it held was finished.
    Drained,
    /// What it held was given back.
    Aborted,
}

/// Works until it is told to stop.
///
/// # Errors
/// See [`DaemonError`].
pub async fn run(settings: Settings, client: Client) -> Result<Ending, DaemonError> {
    let _lock = lock(&settings.data)?;
    let mut signals = Signals::new().map_err(machine("handle signals"))?;
    match process::sweep().await {
        Ok(()) => {}
        // It would take every job and fail it.
        Err((Some(HOST_UNSUPPORTED), why)) => return Err(DaemonError::Host(why)),
        Err((_, why)) => tell(format_args!(
            "warning: what was left cannot be removed: {why}"
        )),
    }
    let token = settings.token.as_deref();
    let identity = identity::establish(&settings.data, &client, token, &settings.description);
    let (agent, client) = tokio::select! {
        identity = identity => identity?,
        // Nothing is held yet.
        () = signals.next() => return Ok(Ending::Drained),
    };
    let description = &settings.description;
    tell(format_args!(
        "agent {agent} ({}) of {}, {} at a time",
        description.name,
        client.server(),
        description.slots
    ));
    let ephemeral = description.ephemeral;
    let data = settings.data.clone();
    let ending = Daemon::new(settings, client).work(&mut signals).await?;
    if ephemeral && ending == Ending::Drained {
        identity::forget(&data);
    }
    Ok(ending)
}

/// Says something to whoever watches the agent.
fn tell(what: impl Display) {
    complain(what);
}

/// Sees to it that only one daemon works in a data directory.
fn lock(data: &Path) -> Result<File, DaemonError> {
    let jobs = data.join("jobs");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&jobs)
        .map_err(machine("make the directory for jobs"))?;
    let file = File::create(jobs.join("lock")).map_err(machine("make the lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DaemonError::Busy(data.to_owned())),
        Err(TryLockError::Error(error)) => Err(machine("take the lock")(error)),
    }
}
