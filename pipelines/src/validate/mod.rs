//! Rules that need more than one value to decide, one a file. Each only looks and reports.

mod cycle;
mod expressions;
mod graph;
mod image;
mod injection;
mod needs;
mod outputs;
mod step_name;

use crate::{Overrides, diagnostic::Diagnostics, syntax::Pipeline};

/// Applies every rule.
pub(crate) fn check(pipeline: &Pipeline, overrides: &Overrides, diagnostics: &mut Diagnostics) {
    let jobs = graph::of_jobs(pipeline);
    needs::check(&jobs, diagnostics);
    cycle::check(&jobs, diagnostics);
    for job in &pipeline.jobs {
        for steps in [&job.steps, &job.after] {
            let steps = graph::of_steps(steps);
            needs::check(&steps, diagnostics);
            cycle::check(&steps, diagnostics);
        }
    }
    image::check(pipeline, overrides, diagnostics);
    step_name::check(pipeline, diagnostics);
    expressions::check(pipeline, diagnostics);
    outputs::check(pipeline, diagnostics);
    injection::check(pipeline, diagnostics);
}
