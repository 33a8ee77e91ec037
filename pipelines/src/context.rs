//! What is known about the event a pipeline runs for.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::Tree;

/// An event that can start a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Commits were pushed to a branch.
    Push,
    /// A pull request was opened or changed.
    PullRequest,
    /// A tag was pushed.
    Tag,
    /// A time has come.
    Schedule,
    /// Somebody asked for it.
    Manual,
}

impl Event {
    /// The word for it in pipelines and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::PullRequest => "pull_request",
            Self::Tag => "tag",
            Self::Schedule => "schedule",
            Self::Manual => "manual",
        }
    }
}

/// An event, as expressions and filters see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// What happened.
    pub event: Event,
    /// Whether the filters of `on` decide if the pipeline runs at all; without, it runs whatever they say.
    pub filtered: bool,
    /// The branch, without `refs/heads/`; of a pull request the one it comes from.
    pub branch: Option<String>,
    /// The branch a pull request goes to.
    pub base: Option<String>,
    /// The tag, without `refs/tags/`.
    pub tag: Option<String>,
    /// The commit's full id.
    pub commit: Option<String>,
    /// The repository's name.
    pub repo: Option<String>,
    /// Given inputs, as text.
    pub inputs: IndexMap<String, String>,
    /// Paths that changed, from the root of the repository with `/`; `None` when nobody knows: then every filter of
    /// paths is met.
    pub changed: Option<Vec<String>>,
    /// The files of the tree; `None` leaves `hash_files(..)` open.
    pub tree: Option<Tree>,
}

impl Context {
    /// An event of which nothing more is known; filters do not count.
    #[must_use]
    pub fn of(event: Event) -> Self {
        Self {
            event,
            filtered: false,
            branch: None,
            base: None,
            tag: None,
            commit: None,
            repo: None,
            inputs: IndexMap::new(),
            changed: None,
            tree: None,
        }
    }
}
