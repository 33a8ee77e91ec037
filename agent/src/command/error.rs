//! Why a command could not be carried out, and which exit code that is.

use std::io;

use pipelines::OverrideError;

use crate::backend::ConnectError;
use crate::config::ConfigError;
use crate::executor::{ScheduleError, SelectionError};
use crate::exit_code::ExitCode;
use crate::log::RunDirectoryError;
use crate::machine::{DataDirectoryError, NoDataDirectory};
use crate::workspace::FindError;

/// A command that could not be carried out. A pipeline that fails or is invalid is not one.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no pipeline to work on.
    #[error(transparent)]
    Find(#[from] FindError),
    /// `--image` or `--env` is wrong.
    #[error(transparent)]
    Override(#[from] OverrideError),
    /// `--job` or `--step` is wrong.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// The machine's configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The environment does not say where data goes.
    #[error(transparent)]
    NoDataDirectory(#[from] NoDataDirectory),
    /// The data directory cannot be made.
    #[error(transparent)]
    DataDirectory(#[from] DataDirectoryError),
    /// The run's directory cannot be made.
    #[error(transparent)]
    RunDirectory(#[from] RunDirectoryError),
    /// There is nothing to run containers with.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The compiler made a plan that cannot be scheduled, which is a bug.
    #[error("the plan is not sound: {0}")]
    Schedule(#[from] ScheduleError),
    /// Standard output, a thread or a signal handler cannot be had.
    #[error("failed to {operation}: {source}")]
    Start {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl CommandError {
    /// The exit code for this kind of error.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Find(_)
            | Self::Override(_)
            | Self::Selection(_)
            | Self::Config(_)
            | Self::NoDataDirectory(_) => ExitCode::Usage,
            Self::DataDirectory(_)
            | Self::RunDirectory(_)
            | Self::Connect(ConnectError::Spawn(_) | ConnectError::Store(_))
            | Self::Schedule(_)
            | Self::Start { .. } => ExitCode::Internal,
            Self::Connect(ConnectError::Host(_)) => ExitCode::HostUnsupported,
        }
    }

    /// What to do about it, where that is known and the message does not say it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Connect(error) => error.hints(),
            Self::Find(FindError::Missing { .. }) => vec![
                "a first pipeline is three lines: `image: host`, `steps:`, `  - run: echo hello`"
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}
