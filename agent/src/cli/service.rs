//! The commands that ask a server something.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use protocol::service::{AgentId, JobId, PipelineId, TokenId};

use super::choice::variable;
use super::{Event, ServerOptions};

/// Have a server run a pipeline.
#[derive(Debug, Clone, Args)]
pub struct Submit {
    /// Where the server is
    #[command(flatten)]
    pub server: ServerOptions,
    /// The repository: https, ssh, or a directory of the server's machine, where the server allows that
    #[arg(long, value_name = "URL|PATH", default_value = ".")]
    pub repo: String,
    /// A branch, a tag, a full ref or a commit's id [default: the repository's HEAD]
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    /// Run this pipeline instead of the repository's
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
    /// Without a repository: jobs start with an empty workspace
    #[arg(long, requires = "pipeline", conflicts_with = "repo")]
    pub no_repo: bool,
    /// Run this job and the jobs it needs; may be given more than once
    #[arg(long = "job", value_name = "JOB")]
    pub jobs: Vec<String>,
    /// Run as if this had happened; with it, the filters of `on` decide whether the pipeline runs at all
    #[arg(long, value_enum, value_name = "EVENT")]
    pub event: Option<Event>,
    /// The pull request is of a fork: it gets no secrets, and waits for approval unless the server is told otherwise
    #[arg(long, requires = "event")]
    pub fork: bool,
    /// Run as if on this branch
    #[arg(long, value_name = "BRANCH")]
    pub branch: Option<String>,
    /// Run as if for a pull request to this branch
    #[arg(long, value_name = "BRANCH")]
    pub base: Option<String>,
    /// Run as if for this tag
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// Give an input of a manual start; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub input: Vec<(String, String)>,
    /// Set a variable for every step; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// Before others, up to 100, or behind them, down to -100
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-100..=100))]
    pub priority: i32,
    /// Show what it does until it is over, and exit as it ends
    #[arg(long, short)]
    pub follow: bool,
    /// How long a server is waited for that is full or away, while it is followed
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "1h", requires = "follow")]
    pub patience: Duration,
    /// Print JSON: what the server answers, or one event a line
    #[arg(long)]
    pub json: bool,
}

/// List jobs, newest first, or show one.
#[derive(Debug, Clone, Args)]
pub struct Jobs {
    /// Where the server is
    #[command(flatten)]
    pub server: ServerOptions,
    /// Show this one
    #[arg(value_name = "JOB")]
    pub job: Option<JobId>,
    /// Only those of this pipeline
    #[arg(long, value_name = "ID", conflicts_with = "job")]
    pub pipeline: Option<PipelineId>,
    /// Print what the server answers
    #[arg(long)]
    pub json: bool,
}

/// List what a job has left, or fetch one of it and compare its checksum.
#[derive(Debug, Clone, Args)]
pub struct Artifacts {
    /// Where the server is
    #[command(flatten)]
    pub server: ServerOptions,
    /// The job
    #[arg(value_name = "JOB")]
    pub job: JobId,
    /// Fetch this one: a gzipped tar archive
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Where to; `-` is standard output [default: NAME.tar.gz]
    #[arg(long, short, value_name = "FILE", requires = "name")]
    pub output: Option<PathBuf>,
    /// Of this attempt [default: the last that has it]
    #[arg(long, value_name = "N")]
    pub attempt: Option<u32>,
    /// Print what the server answers
    #[arg(long, conflicts_with = "name")]
    pub json: bool,
}

/// A job, or all jobs of a pipeline.
#[derive(Debug, Clone, Args)]
#[group(id = "which", required = true, multiple = false)]
pub struct Which {
    /// The job
    #[arg(value_name = "JOB", group = "which")]
    pub job: Option<JobId>,
    /// All jobs of this pipeline
    #[arg(long, value_name = "ID", group = "which")]
    pub pipeline: Option<PipelineId>,
}

/// Stop jobs.
#[derive(Debug, Clone, Args)]
pub struct Cancel {
    /// Where the server is
    #[command(flatten)]
    pub server: ServerOptions,
    /// Which
    #[command(flatten)]
    pub which: Which,
}

/// Run jobs again.
#[derive(Debug, Clone, Args)]
pub struct Retry {
    /// Where the server is
    #[command(flatten)]
    pub server: ServerOptions,
    /// Which
    #[command(flatten)]
    pub which: Which,
    /// Also those that have succeeded
    #[arg(long)]
    pub all: bool,
}

/// Let a job, or a fork's pipeline, run that waits for a person.
#[derive(Debug, Clone, Args)]
pub struct Approve {
    /// Where the server is
    #[command(flatten)]
    pub server: ServerOptions,
    /// Which
    #[command(flatten)]
    pub which: Which,
}

/// List agents, or forget some.
#[derive(Debug, Clone, Args)]
pub struct Agents {
    /// Where the server is
    #[command(flatten)]
    pub server: ServerOptions,
    /// Forget these: what they hold goes to others
    #[arg(long, value_name = "AGENT")]
    pub remove: Vec<AgentId>,
    /// Print what the server answers
    #[arg(long)]
    pub json: bool,
}

/// Have an agent take no more jobs.
#[derive(Debug, Clone, Args)]
pub struct Drain {
    /// Where the server is
    #[command(flatten)]
    pub server: ServerOptions,
    /// The agent, as `agent agents` shows it
    #[arg(value_name = "AGENT")]
    pub agent: AgentId,
    /// Have it take jobs again
    #[arg(long)]
    pub undo: bool,
    /// Wait until it holds none
    #[arg(long, conflicts_with = "undo")]
    pub wait: bool,
}

/// List the secrets that a server keeps, set and remove them. Their values are shown to nobody.
#[derive(Debug, Clone, Args)]
pub struct Secrets {
    /// Where the server is
    #[command(flatten)]
    pub server: ServerOptions,
    /// Those of this repository [default: those of the whole server]
    #[arg(long, value_name = "URL|PATH", global = true)]
    pub repo: Option<String>,
    /// Print what the server answers
    #[arg(long)]
    pub json: bool,
    /// What to do [default: list them]
    #[command(subcommand)]
    pub operation: Option<SecretOperation>,
}

/// What can be done with secrets.
#[derive(Debug, Clone, Subcommand)]
pub enum SecretOperation {
    /// Set a secret to what standard input has, without the end of its line
    Set(SetSecret),
    /// Remove a secret
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// A secret to be set.
#[derive(Debug, Clone, Args)]
pub struct SetSecret {
    /// Under which jobs name it
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Take the value from a file, as it is
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only for pipelines that run for these [default: all, but never for a fork's]
    #[arg(long, value_enum, value_name = "EVENT", value_delimiter = ',')]
    pub event: Vec<Event>,
    /// Only for pipelines of these branches [default: all]
    #[arg(long, value_name = "BRANCH", value_delimiter = ',')]
    pub branch: Vec<String>,
}

/// Make, list and revoke tokens.
#[derive(Debug, Clone, Args)]
pub struct Tokens {
    /// Where the server is
    #[command(flatten)]
    pub server: ServerOptions,
    /// What to do
    #[command(subcommand)]
    pub operation: TokenOperation,
}

/// What can be done with tokens.
#[derive(Debug, Clone, Subcommand)]
pub enum TokenOperation {
    /// Make a token and print it, this once
    Create(CreateToken),
    /// List those that count
    List {
        /// Print what the server answers
        #[arg(long)]
        json: bool,
    },
    /// Have a token count no more
    Revoke {
        /// Its number
        #[arg(value_name = "ID")]
        token: TokenId,
    },
}

/// A token to be made.
#[derive(Debug, Clone, Args)]
pub struct CreateToken {
    /// Whose it is, for people
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What a person or a program may do with it
    #[arg(
        long,
        value_enum,
        default_value = "writer",
        conflicts_with = "registration"
    )]
    pub role: Role,
    /// Only for this repository, or for all below with `/*` at the end; may be given more than once [default: the whole server]
    #[arg(long, value_name = "URL|PATH", conflicts_with = "registration")]
    pub repo: Vec<String>,
    /// For agents to register with
    #[arg(long)]
    pub registration: bool,
    /// How many agents may register with it
    #[arg(long, value_name = "N", requires = "registration")]
    pub uses: Option<u32>,
    /// After how long it counts no more: 12h, 30d
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub expires: Option<Duration>,
    /// Print what the server answers
    #[arg(long)]
    pub json: bool,
}

/// What a user's token allows; each includes the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Look
    Reader,
    /// Submit, cancel, retry, approve
    Writer,
    /// Agents and tokens
    Admin,
}
