use clap::Args;

/// Nothing to say: standard input says it.
#[derive(Debug, Args)]
pub struct Job {}
