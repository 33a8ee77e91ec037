use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::expression::Template;

/// An image that is made from a Dockerfile of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build<T = Template> {
    /// The directory whose files are copied, from the root of the workspace.
    pub context: String,
    /// The Dockerfile, from `context`; `None` is `Dockerfile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// The stage that is built; `None` is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Values of the Dockerfile's `ARG`s.
    #[serde(default = "IndexMap::new", skip_serializing_if = "IndexMap::is_empty")]
    pub args: IndexMap<String, T>,
}

impl<T> Build<T> {
    /// The same with other texts.
    pub(crate) fn map<U>(&self, text: &mut impl FnMut(&T) -> U) -> Build<U> {
        let args = self
            .args
            .iter()
            .map(|(name, value)| (name.clone(), text(value)));
        Build {
            context: self.context.clone(),
            dockerfile: self.dockerfile.clone(),
            target: self.target.clone(),
            args: args.collect(),
        }
    }
}
