//! `agent plan`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Choice;

/// Print what a pipeline becomes: its plan.
///
/// The plan is what every door of Slipway executes: defaults filled in, matrices expanded, conditions decided as far as
/// the event decides them.
#[derive(Debug, Clone, Args)]
pub struct Plan {
    /// Where to look for `.pipeline.yml`: this directory, then its parents
    #[arg(value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,

    /// What to print it as
    #[arg(long, value_enum, default_value_t = PlanFormat::Yaml)]
    pub format: PlanFormat,

    /// Which part, and for which event.
    #[command(flatten)]
    pub choice: Choice,
}

/// What a plan is printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// The whole plan
    Yaml,
    /// The whole plan, for programs
    Json,
    /// A graph of jobs and steps, for Graphviz
    Dot,
    /// A graph of jobs and steps, for Mermaid
    Mermaid,
}
