use clap::{Args, Subcommand};

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
    /// Remove all that this machine has
    Clear,
}
