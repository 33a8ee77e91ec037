//! `agent exec`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::ArgValueCompleter;

use super::candidates;

/// Run a further command in a running container.
///
/// Ends as `agent run` does. The command ends with the container, and with this.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "agent exec [OPTIONS] CONTAINER COMMAND [ARG]...")]
pub struct Exec {
    /// Give the command what comes on standard input
    #[arg(long, short)]
    pub interactive: bool,

    /// Give the command a terminal of its own
    #[arg(long, short)]
    pub tty: bool,

    /// Set a variable, or take the one of this name from the agent's own environment; may be given more than once
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,

    /// Set the variables in this file, one a line as for `--env`, which is stronger; may be given more than once
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,

    /// Run in this directory of the container [default: the container's]
    #[arg(long, short, value_name = "DIR")]
    pub workdir: Option<String>,

    /// Run as this user of the image, by name or number [default: the container's]
    #[arg(long, short, value_name = "USER[:GROUP]")]
    pub user: Option<String>,

    /// The container's name, and what to run in it
    // One list, so that whatever stands behind the name belongs to the command, options included.
    #[arg(value_name = "CONTAINER COMMAND", required = true, num_args = 2.., trailing_var_arg = true, add = ArgValueCompleter::new(candidates::containers))]
    pub container_and_command: Vec<String>,
}

impl Exec {
    /// The container's name as it was written.
    #[must_use]
    pub fn container(&self) -> &str {
        self.container_and_command
            .first()
            .map_or("", String::as_str)
    }

    /// What to run.
    #[must_use]
    pub fn command(&self) -> &[String] {
        self.container_and_command.get(1..).unwrap_or_default()
    }
}
