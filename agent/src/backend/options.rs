//! What a backend has to know about a run before it starts.

use std::path::PathBuf;

use protocol::WorkspaceMode;
use runtime::store::StoreError;
use runtime::zygote::SpawnError;

use crate::chain::chain;
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
    /// Keep what steps wrote.
    pub keep: bool,
    /// The machine's configuration.
    pub config: Config,
}

/// Why there is no backend.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// This host cannot run containers.
    #[error("this host cannot run containers: {}", chain(.0))]
    Host(SpawnError),
    /// The data directory or the agent itself is at fault.
    #[error("failed to {}", chain(.0))]
    Spawn(SpawnError),
    /// The image store cannot be opened.
    #[error("failed to open the image store: {}", chain(.0))]
    Store(#[from] StoreError),
}

impl From<SpawnError> for ConnectError {
    fn from(error: SpawnError) -> Self {
        if error.is_the_hosts() {
            Self::Host(error)
        } else {
            Self::Spawn(error)
        }
    }
}

impl ConnectError {
    /// What a user can do about it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Host(error) | Self::Spawn(error) => error.hints(),
            Self::Store(_) => Vec::new(),
        }
    }
}
