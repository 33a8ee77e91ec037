//! What becomes of a job when its turn comes: whether it runs, what it asks of agents, and its group.

use indexmap::IndexMap;
use pipelines::expression::Template;
use pipelines::plan::{Condition, Job, Place};
use protocol::RunValues;

use super::node::Group;

/// What an `if` came to.
pub(super) enum Decision {
    Run,
    Skip(String),
    Mistake(String),
}

/// Whether a job has to be asked even when what it needs has failed.
pub(super) fn hears_failures(condition: &Condition) -> bool {
    matches!(condition, Condition::When { expression } if expression.uses_status())
}

pub(super) fn decide(condition: &Condition, place: &Place, values: &RunValues) -> Decision {
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
            Ok(None) => Decision::Mistake(located(
                place,
                &format!("`if: {expression}` depends on something that is not known here"),
            )),
            Err(error) => Decision::Mistake(located(place, &error.to_string())),
        },
    }
}

fn located(place: &Place, message: &str) -> String {
    match place.line {
        0 => message.to_owned(),
        line => format!("{}:{line}: {message}", place.file),
    }
}

/// What a job asks of agents, and its group.
pub(super) fn bind(
    job: &Job,
    values: &RunValues,
) -> Result<(IndexMap<String, String>, Option<Group>), String> {
    let text = |key: &str, template: &Template| {
        let text = template.text(values);
        text.map_err(|error| located(&job.place, &format!("`{key}` cannot be evaluated: {error}")))
    };
    let mut runs_on = IndexMap::new();
    for (label, template) in &job.runs_on {
        runs_on.insert(label.clone(), text(&format!("runs_on.{label}"), template)?);
    }
    let group = match &job.concurrency {
        None => None,
        Some(concurrency) => Some(Group {
            name: text("concurrency.group", &concurrency.group)?,
            cancels: concurrency.cancel_in_progress,
        }),
    };
    Ok((runs_on, group))
}
