//! Checked syntax becomes a plan: defaults filled in, environments merged, steps named.
//!
//! The only mistake left to find here is a plan that is too large: every step carries its whole environment, so that a
//! small file can ask for terabytes.

mod name;
mod size;
mod step;

#[cfg(test)]
mod tests;

use crate::{
    Overrides,
    diagnostic::Diagnostics,
    plan::{self, Plan},
    syntax::{Job, Pipeline},
};

/// The plan. `None`, with an error, when it would be too large. The pipeline has passed every rule.
pub(crate) fn lower(
    pipeline: &Pipeline,
    overrides: &Overrides,
    diagnostics: &mut Diagnostics,
) -> Option<Plan> {
    size::check(pipeline, overrides, diagnostics)?;
    let jobs = pipeline
        .jobs
        .iter()
        .map(|job| lower_job(pipeline, job, overrides))
        .collect();
    Some(Plan::new(
        pipeline.name.as_ref().map(|name| name.value.clone()),
        jobs,
    ))
}

fn lower_job(pipeline: &Pipeline, job: &Job, overrides: &Overrides) -> plan::Job {
    let layers = step::Layers {
        pipeline: &pipeline.settings,
        job: &job.settings,
        overrides,
    };
    let mut steps: Vec<plan::Step> = Vec::with_capacity(job.steps.len());
    for (step, name) in job.steps.iter().zip(name::names(&job.steps)) {
        let needs = steps
            .last()
            .map(|previous| previous.name.clone())
            .into_iter()
            .collect();
        steps.push(layers.step(step, name, needs));
    }
    let mut needs: Vec<String> = Vec::with_capacity(job.needs.len());
    let mut seen = std::collections::HashSet::new();
    for need in &job.needs {
        if seen.insert(&need.value) {
            needs.push(need.value.clone());
        }
    }
    plan::Job {
        id: job.id.value.clone(),
        needs,
        timeout: job.settings.timeout.or(pipeline.settings.timeout),
        allow_failure: job.allow_failure,
        steps,
    }
}
