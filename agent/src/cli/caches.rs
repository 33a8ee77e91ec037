use clap::{Args, Subcommand};
use protocol::service::CacheId;

use super::ServerOptions;

/// Do something with what jobs have kept for later ones.
#[derive(Debug, Clone, Args)]
pub struct Caches {
    /// What to do
    #[command(subcommand)]
    pub operation: CacheOperation,
}

/// What can be done with caches.
#[derive(Debug, Clone, Subcommand)]
pub enum CacheOperation {
    /// List those of a server, the last used first
    List {
        /// Where the server is
        #[command(flatten)]
        server: ServerOptions,
        /// Only those of this repository: its URL, or the end of it
        #[arg(long, value_name = "REPO")]
        repo: Option<String>,
        /// Print what the server answers
        #[arg(long)]
        json: bool,
    },
    /// Remove some of a server
    Remove {
        /// Where the server is
        #[command(flatten)]
        server: ServerOptions,
        /// Their numbers
        #[arg(value_name = "ID", required = true)]
        caches: Vec<CacheId>,
    },
    /// Remove all that this machine has
    Clear,
}
