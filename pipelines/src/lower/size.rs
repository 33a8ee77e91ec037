//! How much text the plan will hold, counted before it is built.

use std::collections::HashMap;

use super::matrix::Cell;
use crate::{
    Code, Diagnostic, Overrides,
    diagnostic::Diagnostics,
    limits,
    syntax::{Job, Pipeline, Settings, Text},
};

/// A constant for what a step costs beside its text.
const STEP: usize = 128;

/// The same for a name by itself, and for a cause to retry.
const NAME: usize = 24;
const CAUSE: usize = 2;

/// `None`, with an error at the job that crosses the limit.
pub(super) fn check(
    pipeline: &Pipeline,
    cells: &[Vec<Cell>],
    overrides: &Overrides,
    diagnostics: &mut Diagnostics,
) -> Option<()> {
    let given = overrides.image.as_ref().map_or(0, String::len)
        + overrides
            .env
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>();
    let inherited = given + settings(&pipeline.settings);
    // What it takes to need a job: the ids of all its cells.
    let ids: HashMap<&str, usize> = pipeline
        .jobs
        .iter()
        .zip(cells)
        .map(|(job, cells)| {
            let bytes = cells.iter().map(|cell| cell.id.len() + NAME);
            (&*job.id.value, bytes.sum())
        })
        .collect();
    let mut total: usize = 0;
    for (job, cells) in pipeline.jobs.iter().zip(cells) {
        let inherited = inherited + settings(&job.settings);
        let mut of_job: usize = 0;
        job.each_text(&mut |text| of_job = of_job.saturating_add(size(text)));
        let needs = job.needs.iter().filter_map(|need| ids.get(&*need.value));
        of_job = of_job
            .saturating_add(needs.sum::<usize>())
            .saturating_add(names(job));
        for step in job.steps.iter().chain(&job.after) {
            let mut of_step = STEP + inherited;
            step.each_text(&mut |text| of_step = of_step.saturating_add(size(text)));
            let own = names_of_settings(&step.settings);
            of_job = of_job.saturating_add(of_step.saturating_add(own));
        }
        total = total.saturating_add(of_job.saturating_mul(cells.len()));
        if total > limits::PLAN_BYTES {
            let message = "the pipeline becomes larger than 32 MiB when every step gets its environment and script";
            diagnostics.push(
                Diagnostic::new(Code::TooComplex, job.id.span, message)
                    .label("the limit is crossed in this job")
                    .help("move long scripts and values into files of the repository"),
            );
            return None;
        }
    }
    Some(())
}

/// The text that settings may put into a step.
fn settings(settings: &Settings) -> usize {
    let mut total = names_of_settings(settings);
    settings.each_text(&mut |text| total = total.saturating_add(size(text)));
    total
}

/// What settings hold beside texts.
fn names_of_settings(settings: &Settings) -> usize {
    let env = settings.env.iter().map(|variable| variable.name.len());
    let secrets = settings.secrets.iter().map(|name| name.value.len() + NAME);
    let causes = settings.retry.iter().map(|retry| retry.on.len() * CAUSE);
    env.chain(secrets).chain(causes).sum()
}

/// What a job holds beside the texts of [`Job::each_text`], its steps aside.
fn names(job: &Job) -> usize {
    let labels = job.runs_on.keys().map(|name| name.len() + NAME);
    let outputs = job.outputs.iter();
    let outputs = outputs.map(|(name, text)| name.len() + NAME + size(text));
    let services = job.services.iter().map(|service| {
        let env = service.command.env.keys().map(|name| name.len() + NAME);
        let secrets = service.secrets.iter().map(|name| name.len() + NAME);
        let args = service.build.iter().flat_map(|build| build.args.keys());
        let args = args.map(|name| name.len() + NAME);
        STEP + service.name.len() + env.chain(secrets).chain(args).sum::<usize>()
    });
    let stored = (job.cache.len() + job.artifacts.len()) * STEP;
    labels.chain(outputs).chain(services).sum::<usize>() + stored
}

fn size(text: &Text) -> usize {
    text.len() + 64
}
