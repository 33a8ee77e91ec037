//! `agent run-local`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{Choice, candidates};

/// Run the pipeline of a working tree on this machine.
#[derive(Debug, Clone, Args)]
pub struct RunLocal {
    /// Where to look for `.pipeline.yml`: this directory, then its parents
    #[arg(value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,

    /// What to run, and as what.
    #[command(flatten)]
    pub choice: Choice,

    /// Give steps that ask for it a secret, from the variable of this name; may be given more than once
    #[arg(long = "secret", value_name = "NAME", value_parser = secret_name)]
    pub secrets: Vec<String>,

    /// Give steps that ask for them the secrets in this file, `NAME=value` a line; may be given more than once
    #[arg(long = "secret-file", value_name = "FILE")]
    pub secret_files: Vec<PathBuf>,

    /// Lead a port of this machine to one of a service, while that runs; without an address at all of the machine's
    /// addresses, without a port at any that is free; may be given more than once
    #[arg(
        long = "publish",
        short = 'p',
        value_name = "[SERVICE:][[ADDRESS:]PORT:]PORT[/udp]",
        add = ArgValueCompleter::new(candidates::services)
    )]
    pub publish: Vec<String>,

    /// List the jobs and steps, and run nothing
    #[arg(long, conflicts_with = "dry_run")]
    pub list: bool,

    /// Say what would be executed, and run nothing
    #[arg(long)]
    pub dry_run: bool,

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

    /// Keep artifacts here, in a directory a job [default: beside the run's logs]
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,

    /// Print in the end what each step reached, as a `network` with a list that lets it reach just that
    #[arg(long, conflicts_with = "json")]
    pub record_network: bool,
}

/// Takes a name alone.
fn secret_name(text: &str) -> Result<String, String> {
    if text.contains('=') {
        return Err(
            "give the name alone: a value here would be seen by everybody who lists processes"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
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
            }) => Ok(*arguments),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn variables_may_contain_anything() {
        let arguments = parse(&["--env", "A=b=c\nd", "--env", "E="]).unwrap();
        let expected = [("A", "b=c\nd"), ("E", "")];
        assert_eq!(
            arguments.choice.env,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn wrong_variables_and_contradictions_are_refused() {
        insta::assert_snapshot!(parse(&["--env", "A"]).unwrap_err(), @r"
    error: invalid value 'A' for '--env <NAME=VALUE>': it must have the form NAME=VALUE

    For more information, try '--help'.
    ");
        let error = parse(&["--secret", "A=b"]).unwrap_err();
        assert!(error.contains("give the name alone"), "{error}");
        assert!(parse(&["--env", "=b"]).is_err());
        assert!(parse(&["--json", "--quiet"]).is_err());
        assert!(parse(&["--jobs-parallel", "0"]).is_err());
        assert!(parse(&["--no-needs"]).is_err());
    }
}
