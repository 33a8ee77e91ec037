//! The events of a run, in the order in which they happen.
//!
//! ```text
//! RunStarted
//!   JobStarted
//!     ImageStarted, ImageReady          once per image and run
//!     ServiceStarted, PortPublished*, ServiceReady   per service, before the first step; a service that fails has its ServiceFinished
//!     CacheRestored* CacheMissed*       before the first step
//!     StepStarted, (Log | StepRetrying)*, StepFinished   per step; every byte of a step's log precedes its StepFinished
//!     ServiceFinished                   behind the steps, those of `after` too, unless it ended by itself
//!     ArtifactKept*                     behind all of them
//!     CacheSaved*                       behind the artifacts of a job that has succeeded
//!   JobFinished
//! RunFinished
//! ```
//!
//! Times are Unix milliseconds, durations milliseconds. Fields are only ever added.

use serde::{Deserialize, Serialize};

use super::Cause;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The plan is compiled and about to be executed.
    RunStarted {
        /// The run's id: what `CI_PIPELINE_ID` says in its steps.
        id: String,
        /// Unix milliseconds.
        at: u64,
        /// The pipeline's `name`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pipeline: Option<String>,
        /// Ids of the jobs that will run, in the plan's order.
        jobs: Vec<String>,
        /// How steps see the working tree. Absent of a server's pipeline, whose jobs each have a checkout of their own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace: Option<WorkspaceMode>,
        /// `private`, `host`, `none` or `mixed`. Absent of a server's pipeline: agents have their own configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
    },
    /// A job of a server's pipeline has waited for a while.
    JobWaiting {
        /// The job's id.
        job: String,
        /// For what, and what helps, for a person.
        reason: String,
    },
    /// An image is being resolved, and pulled when the store lacks it.
    ImageStarted {
        /// The reference as written in the pipeline.
        image: String,
    },
    /// An image is in the store and can be run.
    ImageReady {
        /// The reference as written in the pipeline.
        image: String,
        /// Digest of the image's manifest or configuration, when the source has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
        /// Bytes that were read from the source; 0 when the store had everything.
        pulled_bytes: u64,
        /// Milliseconds since `ImageStarted`.
        duration_ms: u64,
    },
    /// A job's needs are met and an executor has it.
    JobStarted {
        /// The job's id.
        job: String,
        /// Unix milliseconds.
        at: u64,
    },
    /// A step's container is about to be started.
    StepStarted {
        /// The job's id.
        job: String,
        /// The step's name.
        step: String,
        /// Position in the job, from 0.
        index: usize,
        /// The image reference as written.
        image: String,
        /// Unix milliseconds.
        at: u64,
    },
    /// A piece of what a step wrote to its standard output and standard error, in order.
    Log {
        /// The job's id.
        job: String,
        /// The step's name.
        step: String,
        /// Offset of the piece's first byte in the step's log.
        offset: u64,
        /// The bytes.
        #[serde(flatten)]
        output: Output,
    },
    /// An attempt of a step has failed, and its `retry` asks for another one. The log goes on where it is.
    StepRetrying {
        /// The job's id.
        job: String,
        /// The step's name.
        step: String,
        /// Which attempt comes next, from 2.
        attempt: u32,
        /// How many there may be.
        attempts: u32,
        /// Why the last one failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// How long it waits first.
        delay_ms: u64,
    },
    /// A step is over; nothing of it runs any more and all of its log has been sent.
    StepFinished {
        /// The job's id.
        job: String,
        /// The step's name.
        step: String,
        /// How it ended.
        conclusion: Conclusion,
        /// Why, for everything but plain success.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// A failure that `allow_failure` keeps from failing the job.
        allowed: bool,
        /// Milliseconds since `StepStarted`.
        duration_ms: u64,
        /// What the step consumed, when it ran.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
    },
    /// A service's container is about to be started.
    ServiceStarted {
        /// The job's id.
        job: String,
        /// The service's name.
        service: String,
        /// The image reference as written.
        image: String,
        /// Unix milliseconds.
        at: u64,
    },
    /// A port of the machine leads to one of a service, until that is over.
    PortPublished {
        /// The job's id.
        job: String,
        /// The service's name.
        service: String,
        /// The service's port.
        port: u16,
        /// [`Protocol::Tcp`] or [`Protocol::Udp`].
        protocol: Protocol,
        /// An address of the machine; `::` or `0.0.0.0` for all of them.
        host: String,
        /// The port there.
        host_port: u16,
    },
    /// A service can be used, as far as its `ready` or its image's health check tells.
    ServiceReady {
        /// The job's id.
        job: String,
        /// The service's name.
        service: String,
        /// Milliseconds since `ServiceStarted`.
        duration_ms: u64,
    },
    /// A service is over; nothing of it runs any more and all of its log is kept.
    ServiceFinished {
        /// The job's id.
        job: String,
        /// The service's name.
        service: String,
        /// How it ended: `success` when it was stopped because nothing needs it any more; `cancelled` when that was so
        /// before it was ready.
        conclusion: Conclusion,
        /// Why, for everything but success.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// Milliseconds since `ServiceStarted`; 0 for one that never started.
        duration_ms: u64,
        /// What it consumed, when it ran.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
    },
    /// A step or a service reached something on the network, for the first time.
    NetworkReached {
        /// The job's id.
        job: String,
        /// The name of the step or the service.
        step: String,
        /// What it reached: a name where it has looked one up, else an address.
        host: String,
        /// The port; 0 where the protocol has none.
        port: u16,
        /// How.
        protocol: Protocol,
    },
    /// A step or a service was refused what it wanted of the network.
    NetworkRefused {
        /// The job's id.
        job: String,
        /// The name of the step or the service.
        step: String,
        /// What it wanted to reach: a name where it has looked one up, else an address.
        host: String,
        /// The port; 0 where the protocol has none.
        port: u16,
        /// How.
        protocol: Protocol,
        /// Why it was refused, without a trailing full stop.
        reason: String,
    },
    /// Files of a cache are in their places, before the first step.
    CacheRestored {
        /// The job's id.
        job: String,
        /// The key that was asked for.
        key: String,
        /// The key of the cache that was found, where it is another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<String>,
        /// Files, directories and links in it.
        files: u64,
        /// Bytes of its archive.
        size: u64,
        /// How long it took, with everything that had to be fetched.
        duration_ms: u64,
    },
    /// There is no cache of this key, and none to start from.
    CacheMissed {
        /// The job's id.
        job: String,
        /// The key.
        key: String,
    },
    /// Files are kept for later jobs, under a key of their own.
    CacheSaved {
        /// The job's id.
        job: String,
        /// The key.
        key: String,
        /// Another job has saved one under this key meanwhile: that one stays.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_taken: bool,
        /// Files, directories and links in it.
        files: u64,
        /// Bytes of its archive.
        size: u64,
        /// Of its archive: SHA-256, 64 hexadecimal digits.
        sha256: String,
        /// How long it took.
        duration_ms: u64,
    },
    /// Files of the workspace are kept, behind the job's last step.
    ArtifactKept {
        /// The job's id.
        job: String,
        /// The artifact's name.
        artifact: String,
        /// Files, directories and links in it.
        files: u64,
        /// Bytes of its files' contents.
        bytes: u64,
        /// Bytes of its archive.
        size: u64,
        /// Of its archive: SHA-256, 64 hexadecimal digits.
        sha256: String,
        /// Where the archive is on this machine, when it stays there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
    /// A job is over.
    JobFinished {
        /// The job's id.
        job: String,
        /// How it ended.
        conclusion: Conclusion,
        /// Why a job that ran no step, or was cut short, ended so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// A failure that `allow_failure` keeps from failing the run.
        allowed: bool,
        /// Milliseconds since `JobStarted`; 0 for a job that never started.
        duration_ms: u64,
    },
    /// Something a user should know that changes no conclusion.
    Warning {
        /// A full sentence.
        message: String,
    },
    /// Everything is over; always the last event.
    RunFinished {
        /// How the run ended.
        conclusion: Conclusion,
        /// Milliseconds since `RunStarted`.
        duration_ms: u64,
    },
}

/// How a step, a service, a job or a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// It did what it should.
    Success,
    /// The pipeline's own commands failed, or a limit the pipeline set was reached.
    Failure,
    /// Slipway could not do its part: an image, the runtime, the disk. Nothing is said about the pipeline.
    Error,
    /// It never started because something it needs did not succeed, or it was deselected.
    Skipped,
    /// A user or a newer run stopped it.
    Cancelled,
}

impl Conclusion {
    /// Its name, as on the wire and in expressions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// By what something was to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// A connection.
    Tcp,
    /// A datagram.
    Udp,
    /// An echo request.
    Icmp,
    /// A name that was looked up.
    Dns,
}

/// A piece of a log: text where it is UTF-8, base64 where it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// UTF-8.
    Text(String),
    /// Standard base64 with padding.
    Base64(String),
}

/// What a step or a service consumed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time in user mode, microseconds, of every process of the step that was reaped.
    pub user_us: u64,
    /// CPU time in the kernel, microseconds.
    pub system_us: u64,
    /// Peak resident set of the largest process, bytes.
    pub max_rss_bytes: u64,
    /// The most memory at any time, bytes: of all processes together, with the files they have in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// The most processes and threads at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_pids: Option<u64>,
    /// Read from block devices, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Written to block devices, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
}

/// How steps see the working tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkspaceMode {
    /// An overlay: steps see the tree with its uncommitted changes, and what they write never reaches it.
    Overlay,
    /// The tree itself, writable.
    InPlace,
}
