//! Whether a job or a step runs, once its turn has come: the same on a server, that decides it of jobs, and on the agent.

use pipelines::plan::{Condition, Place};

use crate::RunValues;

/// What an `if` came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It runs.
    Run,
    /// Not, and why: without a full stop.
    Skip(String),
    /// It cannot be evaluated: the pipeline's mistake, with its place.
    Mistake(String),
}

/// Whether something has to be asked even when what it needs has failed.
#[must_use]
pub fn hears_failures(condition: &Condition) -> bool {
    matches!(condition, Condition::When { expression } if expression.uses_status())
}

/// Decides with the values of this moment. The schedule has seen to it that what does not ask how things went is only
/// decided when they went well.
#[must_use]
pub fn decide(condition: &Condition, place: &Place, values: &RunValues) -> Decision {
    match condition {
        Condition::Success => Decision::Run,
        Condition::Never { reason } => Decision::Skip(reason.clone()),
        Condition::When { expression } => match expression.holds(values) {
            Ok(Some(true)) => Decision::Run,
            Ok(Some(false)) => {
                let because = expression.explain(values);
                let colon = if because.is_empty() { "" } else { ": " };
                Decision::Skip(format!("if: {expression} is false{colon}{because}"))
            }
            Ok(None) => Decision::Mistake(place.located(format_args!(
                "`if: {expression}` depends on something that is not known here"
            ))),
            Err(error) => Decision::Mistake(place.located(error)),
        },
    }
}
