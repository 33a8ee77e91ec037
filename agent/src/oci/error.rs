use std::io;
use std::path::{Path, PathBuf};

use runtime::container::WaitError;
use runtime::zygote::{HoldError, RequestError, SpawnError};

use super::Id;
use super::id::IdError;
use super::state::Status;
use crate::chain::chain;
use crate::system_error::SystemError;

/// Why an OCI operation could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// The configuration cannot be read.
    #[error("failed to read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no JSON.
    #[error("config.json is no JSON: {0}")]
    Syntax(#[source] serde_json::Error),
    /// Something in it makes no sense.
    #[error("config.json: {field}: {problem}")]
    Field {
        /// Where it stands.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something in it is not offered here.
    #[error("config.json: {field} is not offered: {reason}")]
    Refused {
        /// Where it stands.
        field: String,
        /// Why.
        reason: &'static str,
    },
    /// A container's id is none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Somebody else has it.
    #[error("there is a container {id} already")]
    Taken {
        /// The id.
        id: Id,
    },
    /// There is none of that id.
    #[error("there is no container {id}")]
    NoSuchContainer {
        /// The id.
        id: Id,
    },
    /// It is not in a state for this.
    #[error("the container {id} is {status}: it cannot be {operation}")]
    Status {
        /// Which.
        id: Id,
        /// What it is.
        status: Status,
        /// What was asked for, as it reads behind "be".
        operation: &'static str,
    },
    /// An option makes no sense.
    #[error("{option}: {problem}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// There is no zygote.
    #[error("failed to {}", chain(.0))]
    Spawn(#[from] SpawnError),
    /// A namespace that the container is to share.
    #[error("config.json: {field}: failed to enter {}: {source}", path.display())]
    Namespace {
        /// Where it stands.
        field: String,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The root or a mount's source.
    #[error("config.json: {field}: failed to mount {}: {}", path.display(), chain(source))]
    Hold {
        /// Where it stands.
        field: String,
        /// On this machine.
        path: PathBuf,
        /// Why.
        source: HoldError,
    },
    /// The container could not be made, or its command not be started.
    #[error("failed to {operation} the container: {}", chain(source))]
    Container {
        /// `create`, `start`.
        operation: &'static str,
        /// Why.
        source: RequestError,
    },
    /// A bundle without a process has nothing to start.
    #[error("config.json: process: there is none, so that nothing can be started")]
    NoProcess,
    /// The container has ended before its command was started.
    #[error("the container has ended before it was started")]
    Ended,
    /// Its end could not be learnt.
    #[error("failed to {}", chain(.0))]
    Wait(#[from] WaitError),
    /// A hook failed.
    #[error("the hook hooks.{list}[{index}] ({path}) failed: {problem}")]
    Hook {
        /// Which list of them.
        list: &'static str,
        /// Its place in it.
        index: usize,
        /// The program.
        path: String,
        /// Its exit, or why it did not run.
        problem: String,
    },
    /// The supervisor ended without a word.
    #[error("the container's supervisor was killed")]
    SupervisorGone,
    /// The supervisor says why.
    #[error("{0}")]
    Told(String),
    /// Something of the machine.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl OciError {
    pub(super) fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Field {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// For `map_err`: what was tried when the machine failed.
    pub(super) fn system<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> Self {
        move |source| SystemError::during(operation)(source).into()
    }

    /// The same with a path.
    pub(crate) fn disk(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let told = SystemError::at(operation, path);
        |source| told(source).into()
    }

    /// What to do about it, where that is known and the message does not say it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Spawn(error) => error.hints(),
            Self::Refused { field, .. } if field == "linux.cgroupsPath" => {
                vec!["podman leaves it out with --cgroups=disabled".to_owned()]
            }
            Self::Refused { .. } => vec!["docs/oci.md lists what is offered".to_owned()],
            _ => Vec::new(),
        }
    }
}
