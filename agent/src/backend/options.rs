//! What a backend has to know about a run before it starts.

use std::path::PathBuf;

use protocol::WorkspaceMode;

use crate::cli::NetworkMode;
use crate::config::Config;

/// How the containers of a run are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendOptions {
    /// The agent's data directory; exists.
    pub data: PathBuf,
    /// The working tree; absolute, without symbolic links.
    pub tree: PathBuf,
    /// How steps see the working tree.
    pub workspace: WorkspaceMode,
    /// Which network steps see.
    pub network: NetworkMode,
    /// Keep what steps wrote.
    pub keep: bool,
    /// The machine's configuration.
    pub config: Config,
}

/// This host cannot run containers.
#[derive(Debug, thiserror::Error)]
#[error("this host cannot run containers: {reason}")]
pub struct HostError {
    /// What is missing, without a trailing full stop.
    pub reason: String,
    /// What to do about it, where that is known.
    pub fix: Option<String>,
}
