//! What passes between agent and zygote (see [`crate::message`]): a request one way and, on a socket of the request's own,
//! its replies the other way.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::start::Start;
use super::task::Task;
use crate::collect::Bounds;
use crate::container::namespaces::Namespaces;
use crate::container::{Exit, StartError, TerminalSize, Trace};
use crate::layer::{Form, Limits};
use crate::network::pod::PodSpec;

/// What the agent asks for. The first descriptor is always the socket for the replies.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub(super) enum Request {
    /// See [`Start`].
    Start(Start),
    /// Fork a helper. Descriptors: the socket on which it takes requests; it ends with that.
    Help,
    /// Start a process in a running container. Descriptors: the process descriptor of its init, what to execute, without a
    /// terminal stdin, stdout and stderr, and the container's control group if it is `grouped`.
    Exec {
        /// The container's.
        namespaces: Namespaces,
        /// As for a container.
        terminal: Option<TerminalSize>,
        /// Cloned into a control group of version 2.
        grouped: bool,
    },
    /// Mount something and keep it. Descriptors: the tree, when the source is one.
    Hold {
        /// The name containers refer to it by.
        name: String,
        /// What to mount.
        source: HeldSource,
        /// A directory below `scratch/` for an overlay's upper layer; without it the source itself is mounted.
        upper: Option<PathBuf>,
    },
    /// Give up what is held.
    Release {
        /// Its name.
        name: String,
    },
    /// Fork the process that keeps a private network; it answers and takes orders on the socket for the replies
    /// ([`crate::network::pod`]).
    Pod(PodSpec),
    /// Do something with files in a process of its own. Descriptors: what the job takes.
    Work(Job),
}

/// Where something held comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldSource {
    /// A path of the machine, as the caller's own ids see it. Not a `PathBuf`, which has to be UTF-8 on the wire.
    Path(OsString),
    /// A detached mount that comes with the request.
    Tree,
    /// A new directory in `scratch/`, which anybody in a container may write to.
    Fresh,
}

/// Work on files that belong to the user namespace's ids, so that only a process inside can do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Remove a tree below `layers/` or `scratch/`.
    Remove {
        /// Relative.
        path: PathBuf,
    },
    /// Find out what a tree below `scratch/` takes on the disk. Answers bytes.
    Measure {
        /// Relative.
        path: PathBuf,
    },
    /// List files of something held. Descriptors: the paths below which to look, and where the list goes. Answers
    /// `Result<(), CollectError>`.
    List {
        /// What it is held by.
        name: String,
    },
    /// Pack files of something held. Descriptors: their paths, and where the archive goes. Answers
    /// `Result<Collected, CollectError>`.
    Pack {
        /// What it is held by.
        name: String,
        /// How much that may be.
        bounds: Bounds,
    },
    /// Pack files of several things held into one archive. Descriptors: which ([`crate::collect::Part`]), where the archive goes,
    /// and what must not be in it. Answers `Result<Collected, CollectError>`.
    Save {
        /// How much that may be.
        bounds: Bounds,
    },
    /// Put the files of such an archive back. Descriptors: where to, and the archive. Answers `Result<Restored, UnpackError>`.
    Restore {
        /// How much that may be.
        limits: Limits,
        /// How long it may take.
        time: Duration,
    },
    /// Build the lower layer of `image: host` on the stage.
    HostLayer,
    /// Unpack a layer. Descriptors: the stream, and a file for the recording. Answers `Result<Unpacked, UnpackError>`.
    Unpack {
        /// A new name in `layers/`.
        target: String,
        /// Of the stream.
        form: Form,
    },
    /// Make a layer's archive. Descriptors: where to, and the recording if there is one. Answers
    /// `Result<Packed, UnpackError>`.
    PackLayer {
        /// Its name in `layers/`.
        name: String,
    },
    /// Compare a layer with its recording, the descriptor. Answers `Result<Checked, UnpackError>`.
    CheckLayer {
        /// Its name in `layers/`.
        name: String,
    },
    /// Remove a layer. Answers `Result<(), UnpackError>`.
    RemoveLayer {
        /// Its name in `layers/`.
        name: String,
    },
    /// Part of an image's build. Descriptors: what it takes. Answers `Result<_, TransferError>`.
    Build(Task),
}

impl Job {
    /// What comes of it is of no use to anybody when whoever has asked does not wait any more, and it needs not be tidied up.
    pub(super) const fn is_for_who_asks_only(&self) -> bool {
        match self {
            Self::Measure { .. }
            | Self::List { .. }
            | Self::Pack { .. }
            | Self::Save { .. }
            | Self::Restore { .. } => true,
            Self::Remove { .. }
            | Self::HostLayer
            | Self::Unpack { .. }
            | Self::PackLayer { .. }
            | Self::CheckLayer { .. }
            | Self::RemoveLayer { .. }
            | Self::Build(_) => false,
        }
    }
}

/// What comes back for a request. For a container: `Cloned` from the zygote and, in no order with it, `Running` and
/// then `Exited`, or `Failed`, from the container's first process; before `Running`, where it was to be held there, `Created`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The container's first process, or a helper, exists. Descriptor: its process descriptor.
    Cloned,
    /// Only the command is missing, and this is how long everything took. Descriptors: as with `Running`, which then has none.
    Created(Trace),
    /// The command has been executed, and this is how long everything took. Descriptors: the files of the exchange, and
    /// then its terminal.
    Running(Trace),
    /// The command is over.
    Exited(Exit),
    /// The request could not be carried out.
    Failed(StartError),
    /// A request that has no other answer was carried out; what a job has to tell.
    Done(serde_json::Value),
}

/// What may be sent the other way: on the socket of a process in a running container, whose end asks that process to end, and
/// on the socket of a container.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Sends a signal to the process group of a process in a running container.
    Signal(i32),
    /// Starts the command of a container that was only created.
    Begin,
    /// Starts a command in a container that was built ahead. Descriptors: a memory file with what is late
    /// ([`crate::container::Late`]), stdin, stdout and stderr.
    Become,
}
