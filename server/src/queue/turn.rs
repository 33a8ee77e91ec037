//! What a job asks of agents when its turn comes, and its group.

use indexmap::IndexMap;
use pipelines::expression::Template;
use pipelines::plan::Job;
use protocol::RunValues;

use super::node::Group;

/// What a job asks of agents, and its group.
pub(super) fn bind(
    job: &Job,
    values: &RunValues,
) -> Result<(IndexMap<String, String>, Option<Group>), String> {
    let text = |key: &str, template: &Template| {
        let text = template.text(values);
        text.map_err(|error| {
            job.place
                .located(format_args!("`{key}` cannot be evaluated: {error}"))
        })
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
