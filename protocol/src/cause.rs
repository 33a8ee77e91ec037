//! Why something ended as it did.

use serde::{Deserialize, Serialize};

/// Why something ended other than well. One variant a state a user can end up in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// The command exited with a status other than 0, or a service with any before it was stopped.
    Exit {
        /// 1 to 255; of a service also 0.
        code: u8,
    },
    /// The command was killed by a signal nobody here sent.
    Signal {
        /// The signal's number on Linux.
        signal: i32,
    },
    /// The step's or the job's `timeout` was over.
    Timeout {
        /// The limit.
        limit_ms: u64,
    },
    /// The step wrote nothing for as long as its `silence_timeout`.
    Silence {
        /// The limit.
        limit_ms: u64,
    },
    /// Memory was over and the kernel killed something of the step, after which it failed.
    Oom {
        /// What it might use; `None` where it was the machine's memory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit_bytes: Option<u64>,
        /// What a shell would say of its command: the exit code, or 128 and the signal.
        code: u8,
    },
    /// The step could not make another process or thread, after which it failed.
    Pids {
        /// How many it might have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u64>,
        /// As for `Oom`.
        code: u8,
    },
    /// What the step writes to was full, after which it failed; or it left more in its workspace than it might.
    Disk {
        /// What it might write; `None` where it was the machine's disk or memory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit_bytes: Option<u64>,
        /// As for `Oom`.
        code: u8,
    },
    /// The step wrote more output than is kept.
    LogLimit {
        /// What is kept.
        limit_bytes: u64,
    },
    /// The command could not be started: no such shell, user or directory in the image.
    Start {
        /// What failed and why, without a trailing full stop.
        message: String,
    },
    /// The image could not be had.
    Image {
        /// What failed and why.
        message: String,
    },
    /// What it left for others cannot be understood: `$SLIPWAY_OUTPUT`, `$SLIPWAY_ENV`, `outputs`.
    Output {
        /// What is wrong and where.
        message: String,
    },
    /// An artifact that it should leave cannot be kept: it is too large, or has files that cannot be read.
    Artifact {
        /// Its name, as far as that is known.
        artifact: String,
        /// What is wrong, without a trailing full stop.
        message: String,
    },
    /// The runtime, the disk or the machine failed.
    Internal {
        /// What failed and why.
        message: String,
    },
    /// A service that it needs has failed.
    Service {
        /// The service's name.
        service: String,
        /// What has become of it.
        why: Box<Self>,
    },
    /// A service was not ready in time.
    NotReady {
        /// How long it might take.
        limit_ms: u64,
        /// What came of the last attempt to use it, without a trailing full stop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<String>,
    },
    /// It was not run.
    Skipped(Skip),
    /// It was stopped.
    Cancelled,
    /// It was stopped, or not started, because another job of its matrix failed.
    FailFast {
        /// The id of that job.
        job: String,
    },
}

/// Why something was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Skip {
    /// A job or step it needs did not succeed.
    Needs {
        /// The first such one.
        unmet: String,
    },
    /// An earlier step of the job failed.
    EarlierFailure {
        /// That step's name.
        step: String,
    },
    /// A service of the job could not be had.
    Service {
        /// The service's name.
        service: String,
    },
    /// Its `if` does not hold.
    Condition {
        /// The condition and what its variables were, without a full stop.
        condition: String,
    },
    /// The command line selected something else.
    Deselected,
}
