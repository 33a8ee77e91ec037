use serde::{Deserialize, Serialize};

use crate::expression::Template;

/// `concurrency`: of the runs or jobs of one group only one runs at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency<T = Template> {
    /// The group's name.
    pub group: T,
    /// A newer one cancels the one that runs; otherwise it waits.
    pub cancel_in_progress: bool,
}

impl<T> Concurrency<T> {
    /// The same with other texts.
    pub(crate) fn map<U>(&self, text: &mut impl FnMut(&T) -> U) -> Concurrency<U> {
        Concurrency {
            group: text(&self.group),
            cancel_in_progress: self.cancel_in_progress,
        }
    }
}
