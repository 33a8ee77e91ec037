//! `agent doctor`.

use clap::Args;

/// Say what this machine offers to containers, what it lacks and how to get it.
///
/// Ends with 0 when containers can run, with 77 when they cannot.
#[derive(Debug, Clone, Args)]
pub struct Doctor {}
