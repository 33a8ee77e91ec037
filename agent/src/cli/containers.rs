//! The commands about containers that `agent run` has started.

use std::time::Duration;

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::{ServerOptions, candidates};

/// List containers, the newest first.
#[derive(Debug, Clone, Args)]
pub struct Ps {
    /// Those that are over, too
    #[arg(long, short)]
    pub all: bool,

    /// How to print them
    #[arg(long, value_enum, default_value_t = PsFormat::Table)]
    pub format: PsFormat,

    /// Print names only
    #[arg(long, short, conflicts_with = "format")]
    pub quiet: bool,
}

/// Show what running containers use, once a second.
#[derive(Debug, Clone, Args)]
pub struct Stats {
    /// Print it once
    #[arg(long)]
    pub no_stream: bool,

    /// How to print it; as JSON each time is a line
    #[arg(long, value_enum, default_value_t = PsFormat::Table)]
    pub format: PsFormat,

    /// The containers' names [default: all that run]
    #[arg(value_name = "CONTAINER", add = ArgValueCompleter::new(candidates::containers))]
    pub containers: Vec<String>,
}

/// How containers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PsFormat {
    /// For people
    Table,
    /// For programs: a list of objects
    Json,
}

/// Print what a container's command, or a job of a server, has written.
#[derive(Debug, Clone, Args)]
pub struct Logs {
    /// Go on until the container, or the job, is over
    #[arg(long, short)]
    pub follow: bool,

    /// Begin with so many lines from the end
    #[arg(long, short = 'n', value_name = "LINES", alias = "lines")]
    pub tail: Option<usize>,

    /// Print in front of each line when it was written
    #[arg(long, short)]
    pub timestamps: bool,

    /// Of a job: print the log of this step only
    #[arg(long, value_name = "STEP")]
    pub step: Option<String>,

    /// Of a job: print the log of this service
    #[arg(long, value_name = "SERVICE", conflicts_with = "step")]
    pub service: Option<String>,

    /// Of a job: print the logs of this attempt, which may have been lost [default: the last one]
    #[arg(long, value_name = "N")]
    pub attempt: Option<u32>,

    /// Of a job: how long a server is waited for that is full or away, while it is followed
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "1h", requires = "follow")]
    pub patience: Duration,

    /// Of a job: where the server is
    #[command(flatten)]
    pub server: ServerOptions,

    /// The container's name, or the number of a job where no container has that name
    #[arg(value_name = "CONTAINER|JOB", add = ArgValueCompleter::new(candidates::containers))]
    pub container: String,
}

/// Send a signal to the commands of running containers.
#[derive(Debug, Clone, Args)]
pub struct Kill {
    /// Which, by name or number; KILL ends everything in a container
    #[arg(long, short, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: String,

    /// The containers' names
    #[arg(value_name = "CONTAINER", required = true, add = ArgValueCompleter::new(candidates::containers))]
    pub containers: Vec<String>,
}

/// Ask running containers to end (SIGTERM), and kill those that do not.
#[derive(Debug, Clone, Args)]
pub struct Stop {
    /// How long a container has, in seconds [default: `grace` of the machine's configuration, 10]
    #[arg(long, short, value_name = "SECONDS", value_parser = seconds)]
    pub time: Option<Duration>,

    /// The containers' names
    #[arg(value_name = "CONTAINER", required = true, add = ArgValueCompleter::new(candidates::containers))]
    pub containers: Vec<String>,
}

/// Wait until containers are over, and print their exit codes.
#[derive(Debug, Clone, Args)]
pub struct Wait {
    /// The containers' names
    #[arg(value_name = "CONTAINER", required = true, add = ArgValueCompleter::new(candidates::containers))]
    pub containers: Vec<String>,
}

/// Forget containers that are over, their logs included.
#[derive(Debug, Clone, Args)]
pub struct Remove {
    /// Kill those that are not over
    #[arg(long, short)]
    pub force: bool,

    /// The containers' names
    #[arg(value_name = "CONTAINER", required = true, add = ArgValueCompleter::new(candidates::containers))]
    pub containers: Vec<String>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "it is not a number of seconds");
    Ok(Duration::from_secs(seconds?))
}
