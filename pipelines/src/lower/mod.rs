//! Checked syntax becomes a plan: matrices expanded, defaults filled in, environments merged, steps named, expressions
//! evaluated as far as they can be.
//!
//! Few mistakes are left to find here: a plan that is too large (every step carries its whole environment, so that a
//! small file can ask for terabytes), a matrix without cells, an expression whose value does not fit.

mod binder;
mod job;
#[cfg(test)]
mod language_tests;
mod matrix;
mod name;
mod origins;
mod scope;
mod size;
mod step;
mod triggers;

#[cfg(test)]
mod tests;

use crate::{Options, Source, Span, diagnostic::Diagnostics, inputs, plan::Plan, syntax::Pipeline};
use binder::Binder;
use scope::Scope;

pub(crate) use name::names as step_names;
pub(crate) use origins::origins;

/// The plan. `None`, with an error, when it would be too large. The pipeline has passed every rule; expressions may still
/// turn out wrong, with an error.
pub(crate) fn lower(
    source: &Source,
    pipeline: &Pipeline,
    options: &Options,
    diagnostics: &mut Diagnostics,
) -> Option<Plan> {
    let cells = matrix::cells(pipeline, diagnostics)?;
    size::check(pipeline, &cells, &options.overrides, diagnostics)?;
    let declared = pipeline.on.as_ref().and_then(|on| on.manual.as_ref());
    let inputs = options.context.as_ref().map(|context| {
        let none = indexmap::IndexMap::new();
        let declared = declared.unwrap_or(&none);
        inputs::values(declared, &context.inputs, Span::default(), diagnostics)
    });
    let scope = Scope::new(options.context.as_ref(), inputs.as_ref());
    let concurrency = pipeline.concurrency.as_ref().map(|concurrency| {
        concurrency.map(&mut |text| Binder::new(&scope, source).text(text, diagnostics))
    });
    let lowering = job::Lowering {
        source,
        pipeline,
        ids: pipeline
            .jobs
            .iter()
            .zip(&cells)
            .map(|(job, cells)| (&*job.id.value, cells.iter().map(|cell| &*cell.id).collect()))
            .collect(),
        overrides: &options.overrides,
    };
    let mut jobs = Vec::new();
    for (job, cells) in pipeline.jobs.iter().zip(&cells) {
        for cell in cells {
            jobs.push(lowering.job(job, cell, &scope, diagnostics));
        }
    }
    let mut plan = Plan::new(pipeline.name.as_ref().map(|name| name.value.clone()), jobs);
    plan.concurrency = concurrency;
    plan.not_triggered = triggers::refusal(pipeline.on.as_ref(), options.context.as_ref());
    Some(plan)
}
