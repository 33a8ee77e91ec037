//! The options that say which part of a pipeline is meant, and for which event.

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use pipelines::plan::Network;

use super::candidates;

/// What to run, and as what.
#[derive(Debug, Clone, Default, Args)]
pub struct Choice {
    /// Run this job and the jobs it needs; may be given more than once
    #[arg(long = "job", value_name = "JOB", add = ArgValueCompleter::new(candidates::jobs))]
    pub jobs: Vec<String>,

    /// Run the jobs of `--job` without the jobs they need
    #[arg(long, requires = "jobs")]
    pub no_needs: bool,

    /// Run this step alone; with `--job` where several jobs have it
    #[arg(long, value_name = "STEP", add = ArgValueCompleter::new(candidates::steps))]
    pub step: Option<String>,

    /// Run every step in this image
    #[arg(long, value_name = "REF")]
    pub image: Option<String>,

    /// Set a variable for every step, over whatever the pipeline says; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,

    /// Run as if this had happened; with it, the filters of `on` decide whether the pipeline runs at all
    #[arg(long, value_enum, value_name = "EVENT")]
    pub event: Option<Event>,

    /// Run as if on this branch [default: the one that is checked out]
    #[arg(long, value_name = "BRANCH")]
    pub branch: Option<String>,

    /// Run as if for a pull request to this branch
    #[arg(long, value_name = "BRANCH")]
    pub base: Option<String>,

    /// Run as if for this tag [default: the first one of the commit]
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,

    /// Give an input of a manual start; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub input: Vec<(String, String)>,

    /// Run only these cells of matrices; may be given more than once
    #[arg(long, value_name = "AXIS=VALUE", value_parser = variable, add = ArgValueCompleter::new(candidates::cells))]
    pub matrix: Vec<(String, String)>,

    /// Give every step this network, whatever the pipeline says [default: the machine's, where the pipeline is silent]
    #[arg(long, value_enum)]
    pub network: Option<NetworkMode>,
}

/// What can start a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Event {
    /// Commits were pushed to a branch
    Push,
    /// A pull request was opened or changed
    PullRequest,
    /// A tag was pushed
    Tag,
    /// A time has come
    Schedule,
    /// Somebody asked for it
    Manual,
}

/// Which network steps see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NetworkMode {
    /// A private one, with a way out
    Default,
    /// Nothing but a loopback interface of their own
    None,
    /// The machine's, where its configuration allows that
    Host,
}

impl From<NetworkMode> for Network {
    fn from(mode: NetworkMode) -> Self {
        match mode {
            NetworkMode::Default => Self::Default,
            NetworkMode::Host => Self::Host,
            NetworkMode::None => Self::None,
        }
    }
}

/// Splits `NAME=VALUE`. The value may contain anything, `=` and newlines included.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it must have the form NAME=VALUE".to_owned()),
    }
}
