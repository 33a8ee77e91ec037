//! What can be typed. Structs only: [`crate::command`] acts on them.

mod build;
mod caches;
mod candidates;
mod choice;
mod containers;
mod doctor;
mod exec;
mod explain;
mod git_transport;
mod image;
mod job;
mod lint;
mod login;
mod oci;
mod plan;
mod pull;
mod run;
mod run_local;
mod schema;
mod serve;
mod server;
mod service;
mod start;

use clap::{Parser, Subcommand};

pub use build::Build;
pub use caches::{CacheOperation, Caches};
pub use choice::{Choice, Event, NetworkMode};
pub use containers::{Kill, Logs, Ps, PsFormat, Remove, Stats, Stop, Wait};
pub use doctor::Doctor;
pub use exec::Exec;
pub use explain::Explain;
pub use git_transport::GitTransport;
pub use image::{
    ArchiveFormat, Df, Image, ImageInspect, ImageList, ImageLoad, ImagePrune, ImageRemove,
    ImageSave, ImageTag, ImageVerify, ListFormat,
};
pub use job::Job;
pub use lint::{Lint, LintFormat};
pub use login::{Login, Logout};
pub use oci::{CgroupManager, Oci, OciCreate, OciDelete, OciId, OciKill, Operation};
pub use plan::{Plan, PlanFormat};
pub use pull::ImagePull;
pub use run::{Pull, Run};
pub use run_local::RunLocal;
pub use schema::Schema;
pub use serve::{LogFormat, Server};
pub use server::ServerOptions;
pub use service::{
    Agents, Approve, Artifacts, Cancel, CreateToken, Drain, Jobs, Retry, Role, SecretOperation,
    Secrets, SetSecret, Submit, TokenOperation, Tokens, Which,
};
pub use start::Start;

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
    RunLocal(Box<RunLocal>),
    /// Check a pipeline without running it
    Lint(Lint),
    /// Say why each job and step runs, and where each of its values was said
    Explain(Box<Explain>),
    /// Print what a pipeline becomes: its plan
    Plan(Box<Plan>),
    /// Print the JSON Schema of `.pipeline.yml`, for editors
    Schema(Schema),
    /// Run one command in a container of its own
    Run(Box<Run>),
    /// Build an image from a Dockerfile
    Build(Box<Build>),
    /// Fetch an image, or what has changed of it
    Pull(ImagePull),
    /// List images
    Images(ImageList),
    /// Do something with images
    #[command(subcommand)]
    Image(Image),
    /// Forget names of images, and remove what nothing else needs
    Rmi(ImageRemove),
    /// Give an image a further name; for hands that know Docker
    #[command(hide = true)]
    Tag(ImageTag),
    /// Write images to an archive; for hands that know Docker
    #[command(hide = true)]
    Save(ImageSave),
    /// Take images from an archive; for hands that know Docker
    #[command(hide = true)]
    Load(ImageLoad),
    /// Check a log-in with a registry and keep it
    Login(Login),
    /// Forget a log-in
    Logout(Logout),
    /// Say what the agent's data takes
    Df(Df),
    /// Run a further command in a running container
    Exec(Box<Exec>),
    /// List containers
    Ps(Ps),
    /// Show what running containers use
    Stats(Stats),
    /// Print what a container's command, or a job of a server, has written
    Logs(Logs),
    /// Send a signal to the commands of running containers
    Kill(Kill),
    /// Ask running containers to end, and kill those that do not
    Stop(Stop),
    /// Wait until containers are over, and print their exit codes
    Wait(Wait),
    /// Forget containers that are over
    #[command(name = "rm")]
    Remove(Remove),
    /// Run OCI bundles, for programs that call an OCI runtime
    Oci(Box<Oci>),
    /// Ask a server for jobs and run them
    Start(Box<Start>),
    /// Have a server run a pipeline
    Submit(Box<Submit>),
    /// List a server's jobs
    Jobs(Jobs),
    /// List what a server's job has left, or fetch it
    Artifacts(Artifacts),
    /// Do something with what jobs have kept for later ones
    Caches(Caches),
    /// Stop jobs of a server
    Cancel(Cancel),
    /// Run jobs of a server again
    Retry(Retry),
    /// Let a job run that waits for a person
    Approve(Approve),
    /// List a server's agents
    Agents(Agents),
    /// Have an agent take no more jobs
    Drain(Drain),
    /// List, set and remove the secrets that a server keeps
    Secrets(Box<Secrets>),
    /// Make, list and revoke a server's tokens
    Tokens(Tokens),
    /// Run the job that standard input names; for `agent start`
    #[command(hide = true)]
    Job(Job),
    /// Fetch what standard input says from a repository; for `agent job` and `agent server`
    #[command(hide = true)]
    GitTransport(GitTransport),
    /// Run a server: it takes pipelines in and hands their jobs to agents
    Server(Box<Server>),
    /// Say what this machine offers to containers and what it lacks
    Doctor(Doctor),
}

impl Command {
    /// Whether it ends with the exit code of a container's command, so that its own failures have one of their own.
    #[must_use]
    pub const fn ends_as_a_container(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Exec(_))
    }
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
  130  cancelled
`run` and `exec` end as their command does (128 and the signal's number when one ends it), with 127
when there is no such command, 126 when it cannot be executed, and 125 when anything else fails.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
