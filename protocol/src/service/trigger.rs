//! What a pipeline runs for, as it travels.

use indexmap::IndexMap;
use pipelines::{Context, Event};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An event with what is known about it: the wire form of [`Context`], without the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trigger {
    /// What happened: `push`, `pull_request`, `tag`, `schedule` or `manual`.
    #[schema(value_type = String, example = "push")]
    pub event: Event,
    /// Whether the filters of `on` decide if the pipeline runs at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub filtered: bool,
    /// It is a pull request of a fork: of somebody who may not write to the repository. It gets no secrets, and waits for a
    /// person's approval unless the server is told otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fork: bool,
    /// The branch, without `refs/heads/`; of a pull request the one it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The branch a pull request goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The tag, without `refs/tags/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The commit's full id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The repository's name: `owner/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// Values of a manual start, as text.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub inputs: IndexMap<String, String>,
    /// Paths that changed, from the root of the repository; `None` when nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<String>>,
}

impl Default for Trigger {
    /// A manual start of which nothing is known.
    fn default() -> Self {
        Self::of(Event::Manual)
    }
}

impl Trigger {
    /// An event of which nothing more is known.
    #[must_use]
    pub fn of(event: Event) -> Self {
        Self {
            event,
            filtered: false,
            fork: false,
            branch: None,
            base: None,
            tag: None,
            commit: None,
            repo: None,
            inputs: IndexMap::new(),
            changed: None,
        }
    }

    /// The same as the language wants it; the tree, if there is one, is for the caller to add.
    #[must_use]
    pub fn context(&self) -> Context {
        self.clone().into_context()
    }

    /// Likewise, without a copy.
    #[must_use]
    pub fn into_context(self) -> Context {
        Context {
            event: self.event,
            filtered: self.filtered,
            branch: self.branch,
            base: self.base,
            tag: self.tag,
            commit: self.commit,
            repo: self.repo,
            inputs: self.inputs,
            changed: self.changed,
            tree: None,
        }
    }
}
