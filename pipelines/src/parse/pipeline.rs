//! The whole file.

use super::{
    fields::reject,
    job::{job, no_steps, steps},
    keys, settings,
    value::Field,
};
use crate::{
    Code, Diagnostic, Span,
    diagnostic::Diagnostics,
    limits,
    syntax::{Job, Pipeline, Settings, Spanned},
    yaml::{Entry, Node, Value},
};

/// The id of the job that top-level `steps` stand for.
const ONLY_JOB: &str = "main";

/// Reads a pipeline. `None`, with an error, when the file is no mapping.
pub(crate) fn pipeline(root: &Node, diagnostics: &mut Diagnostics) -> Option<Pipeline> {
    let Value::Mapping(entries) = &root.value else {
        let message = format!("a pipeline is a mapping, and this is {}", root.describe());
        let diagnostic = Diagnostic::new(Code::WrongType, root.span, message);
        let is_list = matches!(root.value, Value::Sequence(_));
        diagnostics.push(if is_list {
            diagnostic.help("put the list below a key `steps`")
        } else {
            diagnostic
        });
        return None;
    };
    let mut pipeline = Pipeline {
        name: None,
        settings: Settings::default(),
        jobs: Vec::new(),
    };
    let mut jobs_key: Option<Span> = None;
    let mut steps_key: Option<Span> = None;
    let mut meant = Vec::new();
    for entry in entries.iter() {
        let value = Field::of(entry);
        match value.key {
            "name" => pipeline.name = value.name(diagnostics),
            "jobs" => {
                jobs_key = Some(entry.key.span);
                pipeline.jobs.extend(jobs(value, diagnostics));
            }
            "steps" => {
                steps_key = Some(entry.key.span);
                pipeline.jobs.push(only_job(entry, diagnostics));
            }
            _ if settings::read(&mut pipeline.settings, entry, diagnostics) => {}
            _ => {
                meant.extend(reject(entry, &keys::PIPELINE, diagnostics));
            }
        }
    }
    match (jobs_key, steps_key) {
        (Some(jobs), Some(steps)) => diagnostics.push(both(jobs, steps)),
        (None, None) if !meant.iter().any(|key| matches!(*key, "jobs" | "steps")) => {
            no_steps(
                root.span,
                "the pipeline has neither `jobs` nor `steps`",
                diagnostics,
            );
        }
        _ => {}
    }
    Some(pipeline)
}

fn both(jobs: Span, steps: Span) -> Diagnostic {
    let (first, second) = if jobs < steps {
        (jobs, steps)
    } else {
        (steps, jobs)
    };
    Diagnostic::new(
        Code::JobsAndSteps,
        second,
        "a pipeline has either `jobs` or `steps`",
    )
    .related(first, "the other one is here")
    .help("move the steps into a job, below `jobs`")
}

fn jobs(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<Job> {
    let entries: &[Entry] = if field.is_null() {
        &[]
    } else {
        field.mapping(diagnostics).unwrap_or_default()
    };
    if entries.is_empty() && (field.is_null() || matches!(field.node.value, Value::Mapping(_))) {
        diagnostics.push(
            Diagnostic::new(Code::NoJobs, field.span, "the pipeline has no jobs")
                .help("add one below `jobs`: its id, and in it `steps`"),
        );
    }
    if let Some(entry) = entries.get(limits::JOBS) {
        let message = format!(
            "{} jobs are more than the {} that a pipeline may have",
            entries.len(),
            limits::JOBS
        );
        diagnostics.push(Diagnostic::new(Code::TooManyJobs, entry.key.span, message));
    }
    entries
        .iter()
        .take(limits::JOBS)
        .map(|entry| job(entry, diagnostics))
        .collect()
}

fn only_job(entry: &Entry, diagnostics: &mut Diagnostics) -> Job {
    Job {
        id: Spanned::new(ONLY_JOB.to_owned(), entry.key.span),
        settings: Settings::default(),
        needs: Vec::new(),
        allow_failure: false,
        steps: steps(Field::of(entry), diagnostics),
    }
}
