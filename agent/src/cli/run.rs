//! `agent run`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::{NetworkMode, candidates};

/// Run one command in a container of its own.
///
/// Ends with the command's exit code, with 128 and its number for a signal, with 127 where there is no such command, 126
/// where it cannot be executed, and 125 where the agent failed.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "agent run [OPTIONS] IMAGE [COMMAND [ARG]...]")]
pub struct Run {
    /// Give the command what comes on standard input
    #[arg(long, short)]
    pub interactive: bool,

    /// Give the command a terminal of its own
    #[arg(long, short)]
    pub tty: bool,

    /// Return when the command runs, and print the container's name
    #[arg(long, short)]
    pub detach: bool,

    /// Forget the container when it is over, its log included
    #[arg(long)]
    pub rm: bool,

    /// Call the container so, for the other commands [default: a random name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Mount a file or directory of this machine: `SRC:DST`, or `SRC:DST:ro` for reading alone; may be given more than once
    #[arg(long = "volume", short = 'v', value_name = "SRC:DST[:ro]")]
    pub volumes: Vec<String>,

    /// Mount an empty directory in memory: `DST`, or `DST:size=64m`; may be given more than once
    #[arg(long, value_name = "DST[:size=N]")]
    pub tmpfs: Vec<String>,

    /// Refuse writing to the container's root; volumes and `--tmpfs` are not part of it
    #[arg(long)]
    pub read_only: bool,

    /// Set a variable, or take the one of this name from the agent's own environment; may be given more than once
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,

    /// Set the variables in this file, one a line as for `--env`, which is stronger; may be given more than once
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,

    /// Run in this directory of the container, which is made if it is missing [default: the image's]
    #[arg(long, short, value_name = "DIR")]
    pub workdir: Option<String>,

    /// Run as this user of the image, by name or number [default: the image's]
    #[arg(long, short, value_name = "USER[:GROUP]")]
    pub user: Option<String>,

    /// Give the container this host name [default: its own name]
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,

    /// Execute this instead of the image's entrypoint; empty for none
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,

    /// Most memory all of its processes may have together, such as 512m; what they write to the root counts
    #[arg(long, short, value_name = "BYTES")]
    pub memory: Option<String>,

    /// Most CPU time, in cores, such as 1.5
    #[arg(long, value_name = "CORES")]
    pub cpus: Option<String>,

    /// Most processes and threads at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub pids_limit: Option<u64>,

    /// Which network the container sees
    #[arg(long, value_enum, default_value_t = NetworkMode::Default)]
    pub network: NetworkMode,

    /// Lead a port of this machine to one of the container; without an address at all of the machine's addresses
    #[arg(
        long = "publish",
        short = 'p',
        value_name = "[[ADDRESS:]PORT:]PORT[/udp]"
    )]
    pub publish: Vec<String>,

    /// Say on standard error where the time of the start went, when the command runs
    #[arg(long)]
    pub trace: bool,

    /// When to ask a registry for an image
    #[arg(long, value_enum, default_value_t = Pull::Missing)]
    pub pull: Pull,

    /// The image, and what runs in it instead of the image's own command
    // One list, so that whatever stands behind the image belongs to the command, options included.
    #[arg(value_name = "IMAGE [COMMAND", required = true, num_args = 1.., trailing_var_arg = true, add = ArgValueCompleter::new(candidates::images))]
    pub image_and_command: Vec<String>,
}

/// When to ask a registry for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pull {
    /// Whenever its name could mean something new
    Always,
    /// When it is not here
    Missing,
}

impl Run {
    /// The image as it was written.
    #[must_use]
    pub fn image(&self) -> &str {
        self.image_and_command.first().map_or("", String::as_str)
    }

    /// What was written behind it.
    #[must_use]
    pub fn command(&self) -> &[String] {
        self.image_and_command.get(1..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::{Cli, Command};

    fn parse(arguments: &[&str]) -> Result<super::Run, String> {
        let arguments = ["agent", "run"].iter().chain(arguments);
        match Cli::try_parse_from(arguments) {
            Ok(Cli {
                command: Command::Run(arguments),
            }) => Ok(*arguments),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn what_stands_behind_the_image_belongs_to_the_command() {
        let run = parse(&["-i", "-e", "A=b", "debian", "-v", "--help", "-i"]).unwrap();
        assert_eq!(run.image(), "debian");
        assert_eq!(run.command(), ["-v", "--help", "-i"]);
        assert_eq!(run.env, ["A=b"]);
        assert!(run.interactive && run.volumes.is_empty());
        assert!(parse(&["debian"]).unwrap().command().is_empty());
    }

    #[test]
    fn an_option_of_dockers_that_is_not_ours_is_refused() {
        let error = parse(&["--privileged", "debian"]).unwrap_err();
        assert!(
            error.contains("unexpected argument '--privileged'"),
            "{error}"
        );
        assert!(parse(&[]).is_err());
    }
}
