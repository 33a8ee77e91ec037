use serde::{Deserialize, Serialize};

use crate::expression::Expression;

/// Whether a job or a step runs at all: its `if`, as far as the compiler could decide it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Condition {
    /// No `if`, or one that is true: it runs when everything before it went well.
    #[default]
    Success,
    /// An `if` that is known to be false.
    Never {
        /// Why: `if: branch == "main" is false: branch is "dev"`. No full stop.
        reason: String,
    },
    /// An `if` that has to be looked at when its turn comes. Without a status function (`success()`, `failure()`,
    /// `always()`, `cancelled()`) it only counts when everything before went well.
    When {
        /// The expression.
        expression: Expression,
    },
}

impl Condition {
    /// For serde: nothing has to be said.
    pub(super) const fn is_success(&self) -> bool {
        matches!(self, Self::Success)
    }
}
