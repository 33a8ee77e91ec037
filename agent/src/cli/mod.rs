//! What can be typed. Structs only: [`crate::command`] acts on them.

mod doctor;
mod lint;
mod run_local;

use clap::{Parser, Subcommand};

pub use doctor::Doctor;
pub use lint::Lint;
pub use run_local::{NetworkMode, RunLocal};

/// Run continuous integration pipelines in containers of their own making.
#[derive(Debug, Parser)]
#[command(name = "agent", version, about, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The agent's commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the pipeline of a working tree on this machine
    RunLocal(RunLocal),
    /// Check a pipeline without running it
    Lint(Lint),
    /// Say what this machine offers to containers and what it lacks
    Doctor(Doctor),
}

/// The meanings of [`crate::exit_code::ExitCode`].
const EXIT_CODES: &str = "\
Exit status:
    0  success
    1  the pipeline failed
    2  wrong usage or configuration
   65  invalid pipeline
   69  registry or server unavailable
   70  internal error
   77  this host cannot run containers
  130  cancelled";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
