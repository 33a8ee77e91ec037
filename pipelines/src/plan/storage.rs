//! What a job leaves: artifacts, reports.

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::expression::Template;

/// An item of `artifacts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact<T = Template> {
    /// What it is called; unique in the job.
    pub name: T,
    /// Paths and patterns in the workspace.
    pub paths: Vec<T>,
    /// After which ends of the job it is kept.
    pub when: When,
    /// How long it is kept; `None` leaves it to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire: Option<Duration>,
}

/// Whether a text can be the name of an artifact, once expressions in it are evaluated: 1 to 64 letters, digits, `_`, `.` and
/// `-` of ASCII, of which no `.` comes first. It becomes a part of file names and addresses.
#[must_use]
pub fn is_artifact_name(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(is_inner) && !text.starts_with('.')
}

/// After which ends of a job something happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// When it succeeded.
    #[default]
    Success,
    /// When it failed.
    Failure,
    /// Whatever happened.
    Always,
}

/// `reports`: files that are read after the job, patterns in the workspace by format (`junit`, ..).
pub type Reports<T = Template> = IndexMap<String, Vec<T>>;

impl<T> Artifact<T> {
    /// The same with other texts.
    pub(crate) fn map<U>(&self, text: &mut impl FnMut(&T) -> U) -> Artifact<U> {
        Artifact {
            name: text(&self.name),
            paths: self.paths.iter().map(text).collect(),
            when: self.when,
            expire: self.expire,
        }
    }
}
