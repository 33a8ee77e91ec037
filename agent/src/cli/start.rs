//! `agent start`.

use clap::Args;

use super::ServerOptions;

/// Ask a server for jobs and run them, each in a process of its own.
///
/// SIGTERM or Ctrl-C: takes no more jobs, and ends behind those that run. Once more: gives them back and ends.
#[derive(Debug, Clone, Args)]
pub struct Start {
    /// Where the server is; the token is a registration token, which is needed once
    #[command(flatten)]
    pub server: ServerOptions,
    /// How many jobs to run at once (1)
    #[arg(long, value_name = "N", env = "SLIPWAY_SLOTS", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub slots: Option<u32>,
    /// What `runs_on` can ask for: name=value, or a name alone
    #[arg(
        long,
        value_name = "LABELS",
        env = "SLIPWAY_LABELS",
        value_delimiter = ','
    )]
    pub labels: Vec<String>,
    /// What the agent is called (the machine's name)
    #[arg(long, value_name = "NAME", env = "SLIPWAY_NAME")]
    pub name: Option<String>,
    /// Run one job, then end; the server forgets the agent
    #[arg(long)]
    pub ephemeral: bool,
}
