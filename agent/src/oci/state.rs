//! A container's state, as others see it (runtime.md, "State") and as it is written down.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::config::Hook;
use super::{Id, VERSION};

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is being made.
    Creating,
    /// Only its command is missing.
    Created,
    /// Its command runs.
    Running,
    /// It is over.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Stopped => "stopped",
        })
    }
}

/// What `state` prints and hooks read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The version of the specification that this is of.
    pub oci_version: String,
    /// The container's id.
    pub id: Id,
    /// What it is.
    pub status: Status,
    /// The container's first process, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// The bundle, absolute.
    pub bundle: PathBuf,
    /// Of the configuration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What is written down of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// As its supervisor last saw it.
    pub(super) state: State,
    /// To be run when it has been deleted.
    pub(super) poststop: Vec<Hook>,
}

impl Record {
    pub(super) fn new(
        id: Id,
        bundle: PathBuf,
        annotations: BTreeMap<String, String>,
        poststop: Vec<Hook>,
    ) -> Self {
        Self {
            state: State {
                oci_version: VERSION.to_owned(),
                id,
                status: Status::Creating,
                pid: None,
                bundle,
                annotations,
            },
            poststop,
        }
    }

    /// The same without a supervisor: the container is over.
    pub(super) fn without_supervisor(mut self) -> Self {
        self.state.status = Status::Stopped;
        self.state.pid = None;
        self
    }
}
