//! What crosses the seam: requests in, results out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use pipelines::plan::{Action, Build, Network, Resources};
use protocol::{Protocol, Usage};

use crate::ports::Port;

/// What a job will need of its backend.
pub struct JobRequest<'a> {
    /// The job's id.
    pub id: &'a str,
    /// So many steps and services of it are on a network of the job's own.
    pub on_network: usize,
    /// Directories of its own that every step finds at these paths, whoever it runs as; empty at first. `~/` is the home of the
    /// step's user. What is above comes before what is below it.
    pub directories: &'a [String],
    /// To be told of what its steps and services do with the network.
    pub uses: NetworkUseFn,
}

impl fmt::Debug for JobRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobRequest")
            .field("id", &self.id)
            .field("on_network", &self.on_network)
            .field("directories", &self.directories)
            .finish_non_exhaustive()
    }
}

/// What a step or a service did with the network, or wanted to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NetworkUse {
    /// The step's or the service's name.
    pub step: String,
    /// What it reached, or wanted to.
    pub place: Place,
    /// Why it was refused, without a trailing full stop; `None` where it was not.
    pub refusal: Option<String>,
}

/// Something on the network.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// A name where it had been looked up, else an address.
    pub host: String,
    /// 0 where the protocol has none.
    pub port: u16,
    /// How it is reached.
    pub protocol: Protocol,
}

/// Takes uses of the network. Cheap, may be called often, from any thread, and as long as it is held.
pub type NetworkUseFn = Arc<dyn Fn(NetworkUse) + Send + Sync>;

/// One step to start.
#[derive(Debug)]
pub struct StepRequest<'a, I, W> {
    /// The step's name, for what is told of it.
    pub name: &'a str,
    /// The prepared image.
    pub image: &'a I,
    /// The job's workspace, to be seen at `/workspace`.
    pub workspace: &'a W,
    /// What the container executes.
    pub action: &'a Action<String>,
    /// Predefined variables and the step's own, over which the image's environment is the weaker layer.
    pub env: IndexMap<String, String>,
    /// As written: relative to the workspace, or absolute in the container; `None` is the workspace.
    pub workdir: Option<&'a str>,
    /// `user[:group]` as written; `None` leaves it to the image.
    pub user: Option<&'a str>,
    /// Which network it sees.
    pub network: &'a Network<String>,
    /// It may run containers inside its own.
    pub nesting: bool,
    /// Lower-case letters, digits and hyphens, 1 to 63 bytes.
    pub hostname: String,
    /// What it may use.
    pub resources: Resources,
    /// Another step of the job is likely to come that differs from this one in its command only.
    pub followed: bool,
}

/// One service to start, on the job's network. It does not see the workspace.
#[derive(Debug)]
pub struct ServiceRequest<'a, I, W> {
    /// Its name, which is its name on the job's network as well: lower-case letters, digits, `_` and `-`, 1 to 64 bytes.
    /// No two services of a workspace have the same.
    pub name: &'a str,
    /// The prepared image.
    pub image: &'a I,
    /// The workspace of its job, whose network it joins.
    pub workspace: &'a W,
    /// What the container executes, in its image's directory and as its image's user.
    pub action: &'a Action<String>,
    /// Its variables, over which the image's environment is the weaker layer.
    pub env: IndexMap<String, String>,
    /// As for a step.
    pub hostname: String,
    /// What it may use.
    pub resources: Resources,
    /// What it may reach.
    pub network: &'a Network<String>,
    /// Ports of the machine that are to lead to it.
    pub ports: &'a [Port],
}

/// An image to build for a service, of what its job's workspace was in the beginning.
#[derive(Debug)]
pub struct BuildRequest<'a, W> {
    /// The service's name, for what is told of it.
    pub name: &'a str,
    /// From what.
    pub build: &'a Build<String>,
    /// The workspace of its job, whose network its commands join.
    pub workspace: &'a W,
    /// What its commands may reach.
    pub network: &'a Network<String>,
    /// What each of them may use.
    pub resources: Resources,
}

/// How an image says that what runs in it is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// What to execute in the container; exits with 0 when it is well. Never empty.
    pub command: Vec<String>,
    /// Between two checks.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// How long the container may take to start.
    pub start_period: Duration,
    /// So many failures in a row mean that it is not well.
    pub retries: u32,
}

/// A prepared image and what is worth telling about it.
#[derive(Debug)]
pub struct Prepared<I> {
    /// What [`super::Backend::start`] wants.
    pub image: I,
    /// Digest of the image's manifest or configuration, when the source has one.
    pub digest: Option<String>,
    /// Bytes that were read from the source; 0 when the store had everything.
    pub pulled_bytes: u64,
    /// Its health check, where it has one.
    pub healthcheck: Option<Healthcheck>,
}

/// News of an image on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageProgress {
    /// Bytes received so far, and how many there will be when that is known.
    Received {
        /// So far.
        bytes: u64,
        /// All of them.
        total: Option<u64>,
    },
    /// A full sentence the user should read: a stored image stands in for a registry that is down.
    Warning(String),
}

/// Takes news of an image. Cheap, may be called often and from any thread.
pub type ProgressFn<'a> = &'a (dyn Fn(ImageProgress) + Send + Sync);

/// How a step's command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its status.
    pub status: ExitStatus,
    /// What it and its descendants consumed; `None` where nobody could count, as after [`super::RunningStep::kill`].
    pub usage: Option<Usage>,
    /// The limit that explains a failure, where one was reached.
    pub exceeded: Option<Exceeded>,
}

/// A limit that a step ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// Memory was over, the step's or the machine's.
    Memory,
    /// It could not make another process.
    Pids,
    /// What it writes to was full.
    Disk,
}

/// A command's status, as `wait(2)` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(u8),
    /// This signal killed it.
    Signal(i32),
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}
