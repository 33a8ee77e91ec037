//! `agent explain`.

use std::path::PathBuf;

use clap::Args;

use super::Choice;

/// Say of every job and step why it runs, what it is made of, and where each value was said.
#[derive(Debug, Clone, Args)]
pub struct Explain {
    /// Only this job
    #[arg(value_name = "JOB")]
    pub only: Option<String>,

    /// Where to look for `.pipeline.yml`: this directory, then its parents
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,

    /// Which part, and for which event.
    #[command(flatten)]
    pub choice: Choice,
}
