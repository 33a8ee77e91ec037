//! How much text the plan will hold, counted before it is built.

use crate::{
    Code, Diagnostic, Overrides,
    diagnostic::Diagnostics,
    limits,
    syntax::{Action, EnvVar, Pipeline, Settings},
};

/// A constant for what a step costs beside its text.
const STEP: usize = 128;

/// `None`, with an error at the job that crosses the limit.
pub(super) fn check(
    pipeline: &Pipeline,
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
    let mut total: usize = 0;
    for job in &pipeline.jobs {
        let inherited = inherited + settings(&job.settings);
        for step in &job.steps {
            let script = if let Action::Run(script) = &step.action {
                script.len()
            } else {
                0
            };
            total = total.saturating_add(STEP + inherited + settings(&step.settings) + script);
        }
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
    let env = settings
        .env
        .iter()
        .map(|EnvVar { name, value }| name.len() + value.len() + 64)
        .sum::<usize>();
    let image = settings.image.as_ref().map_or(0, |image| image.value.len());
    let shell = settings
        .shell
        .iter()
        .flat_map(|shell| &shell.value)
        .map(|word| word.len() + 24)
        .sum::<usize>();
    let rest = [&settings.workdir, &settings.user]
        .into_iter()
        .flatten()
        .map(String::len)
        .sum::<usize>();
    env + image + shell + rest
}
