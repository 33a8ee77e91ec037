//! `agent run-local`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Run the pipeline of a working tree on this machine.
#[derive(Debug, Clone, Args)]
pub struct RunLocal {
    /// Where to look for `.pipeline.yml`: this directory, then its parents
    #[arg(value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,

    /// Run this job and the jobs it needs; may be given more than once
    #[arg(long = "job", value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Run the jobs of `--job` without the jobs they need
    #[arg(long, requires = "jobs")]
    pub no_needs: bool,

    /// Run this step alone; with `--job` where several jobs have it
    #[arg(long, value_name = "STEP")]
    pub step: Option<String>,

    /// Run every step in this image
    #[arg(long, value_name = "REF")]
    pub image: Option<String>,

    /// Set a variable for every step, over whatever the pipeline says; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,

    /// Which network steps see
    #[arg(long, value_enum, default_value_t = NetworkMode::Host)]
    pub network: NetworkMode,

    /// Let steps write to the working tree itself instead of an overlay
    #[arg(long)]
    pub in_place: bool,

    /// Most jobs to run at once [default: the number of cores]
    #[arg(long, value_name = "N")]
    pub jobs_parallel: Option<NonZeroUsize>,

    /// Print one event a line, as JSON
    #[arg(long, conflicts_with = "quiet")]
    pub json: bool,

    /// Print failures and the summary only
    #[arg(long, short)]
    pub quiet: bool,

    /// Keep what steps wrote, for inspection
    #[arg(long)]
    pub keep: bool,
}

/// Which network steps see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NetworkMode {
    /// The machine's
    Host,
    /// Nothing but a loopback interface of their own
    None,
}

impl NetworkMode {
    /// The word for it in events and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::None => "none",
        }
    }
}

/// Splits `NAME=VALUE`. The value may contain anything, `=` and newlines included.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it must have the form NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::{Cli, Command};

    fn parse(arguments: &[&str]) -> Result<super::RunLocal, String> {
        let arguments = ["agent", "run-local"].iter().chain(arguments);
        match Cli::try_parse_from(arguments) {
            Ok(Cli {
                command: Command::RunLocal(arguments),
            }) => Ok(arguments),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn variables_may_contain_anything() {
        let arguments = parse(&["--env", "A=b=c\nd", "--env", "E="]).unwrap();
        let expected = [("A", "b=c\nd"), ("E", "")];
        assert_eq!(
            arguments.env,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn wrong_variables_and_contradictions_are_refused() {
        insta::assert_snapshot!(parse(&["--env", "A"]).unwrap_err(), @r"
    error: invalid value 'A' for '--env <NAME=VALUE>': it must have the form NAME=VALUE

    For more information, try '--help'.
    ");
        assert!(parse(&["--env", "=b"]).is_err());
        assert!(parse(&["--json", "--quiet"]).is_err());
        assert!(parse(&["--jobs-parallel", "0"]).is_err());
        assert!(parse(&["--no-needs"]).is_err());
    }
}
