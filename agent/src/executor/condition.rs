//! Whether a job or a step runs, once its turn has come.

use pipelines::expression::Expression;
use pipelines::plan::{Condition, Place};

use super::outcome::located;
use protocol::RunValues;

/// What an `if` came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Run,
    /// Not, and why: without a full stop.
    Skip(String),
    /// It cannot be evaluated: the pipeline's mistake.
    Mistake(String),
}

/// Whether something has to be asked even when what it needs has failed.
pub(super) fn hears_failures(condition: &Condition) -> bool {
    matches!(condition, Condition::When { expression } if expression.uses_status())
}

/// Decides with the values of this moment. The schedule has seen to it that what does not ask how things went is only
/// decided when they went well.
pub(super) fn decide(condition: &Condition, place: &Place, values: &RunValues) -> Decision {
    match condition {
        Condition::Success => Decision::Run,
        Condition::Never { reason } => Decision::Skip(reason.clone()),
        Condition::When { expression } => match expression.holds(values) {
            Ok(Some(true)) => Decision::Run,
            Ok(Some(false)) => Decision::Skip(told(expression, values)),
            Ok(None) => Decision::Mistake(located(place, &Open(expression.clone()))),
            Err(error) => Decision::Mistake(located(place, &error)),
        },
    }
}

fn told(expression: &Expression, values: &RunValues) -> String {
    let because = expression.explain(values);
    let colon = if because.is_empty() { "" } else { ": " };
    format!("if: {expression} is false{colon}{because}")
}

/// An `if` that cannot be decided here.
#[derive(Debug, thiserror::Error)]
#[error("`if: {0}` depends on something that is not known here")]
struct Open(Expression);
