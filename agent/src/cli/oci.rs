//! `agent oci`: the operations of an OCI runtime, as `runc` and `crun` spell them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::oci::LogFormat;

/// Run OCI bundles, for programs that call an OCI runtime.
///
/// A bundle is a directory with a config.json (<https://github.com/opencontainers/runtime-spec>). `docs/oci.md` says what of
/// it is offered; whatever is not is refused by name.
#[derive(Debug, Clone, Args)]
pub struct Oci {
    /// Where containers are known [default: in the data directory]
    #[arg(long, value_name = "DIR", global = true)]
    pub root: Option<PathBuf>,

    /// Add what goes wrong to this file as well
    #[arg(long, value_name = "FILE", global = true)]
    pub log: Option<PathBuf>,

    /// How it is written there
    #[arg(long, value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log_format: LogFormat,

    /// Is there for callers that say it; `SLIPWAY_LOG` says more
    #[arg(long, global = true)]
    pub debug: bool,

    /// Is there for callers that say it: the agent makes its control groups itself, where the machine lets it
    #[arg(long, value_enum, value_name = "MANAGER", global = true)]
    pub cgroup_manager: Option<CgroupManager>,

    /// What to do.
    #[command(subcommand)]
    pub operation: Operation,
}

/// Who makes control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CgroupManager {
    /// The runtime itself
    Cgroupfs,
    /// Nobody
    Disabled,
}

/// The operations.
#[derive(Debug, Clone, Subcommand)]
pub enum Operation {
    /// Make a container up to the point where only its command is missing
    Create(OciCreate),
    /// Start the command of a container that was created
    Start(OciId),
    /// Print a container's state
    State(OciId),
    /// Send a signal to a container
    Kill(OciKill),
    /// Forget a container that is over, and run its last hooks
    Delete(OciDelete),
}

/// Make a container.
#[derive(Debug, Clone, Args)]
pub struct OciCreate {
    /// The bundle
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    pub bundle: PathBuf,

    /// Write the container's process id to this file
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,

    /// Hand the container's terminal to whoever listens on this socket
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,

    /// The container's id
    #[arg(value_name = "ID")]
    pub id: String,
}

/// One container.
#[derive(Debug, Clone, Args)]
pub struct OciId {
    /// The container's id
    #[arg(value_name = "ID")]
    pub id: String,
}

/// Send a signal.
#[derive(Debug, Clone, Args)]
pub struct OciKill {
    /// To every process of the container, which only KILL can do, and does in any case
    #[arg(long, short)]
    pub all: bool,

    /// The container's id
    #[arg(value_name = "ID")]
    pub id: String,

    /// Which signal, by name or number
    #[arg(value_name = "SIGNAL", default_value = "TERM")]
    pub signal: String,
}

/// Forget a container.
#[derive(Debug, Clone, Args)]
pub struct OciDelete {
    /// Kill it if it is not over
    #[arg(long, short)]
    pub force: bool,

    /// The container's id
    #[arg(value_name = "ID")]
    pub id: String,
}
