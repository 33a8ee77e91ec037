//! A job: a value under `jobs`, or the steps at the top of a pipeline.

use super::{fields::reject, keys, settings, step::step, value::Field};
use crate::{
    Code, Diagnostic, Span,
    diagnostic::{Diagnostics, quoted},
    limits,
    syntax::{
        Job, Settings, Spanned, Step,
        text::{is_job_id, job_id_for},
    },
    yaml::Entry,
};

/// Reads an entry of `jobs`.
pub(super) fn job(entry: &Entry, diagnostics: &mut Diagnostics) -> Job {
    let id = id(entry, diagnostics);
    let mut job = Job {
        id,
        settings: Settings::default(),
        needs: Vec::new(),
        allow_failure: false,
        steps: Vec::new(),
    };
    let field = Field::of(entry);
    if field.is_null() {
        no_steps(
            entry.key.span,
            format!("the job {} has no steps", quoted(field.key)),
            diagnostics,
        );
        return job;
    }
    let Some(entries) = mapping(field, diagnostics) else {
        return job;
    };
    let mut has_steps = false;
    for entry in entries {
        let value = Field::of(entry);
        match value.key {
            "needs" => job.needs = needs(value, diagnostics),
            "allow_failure" => job.allow_failure = value.boolean(diagnostics).unwrap_or_default(),
            "steps" => {
                has_steps = true;
                job.steps = steps(value, diagnostics);
            }
            _ if settings::read(&mut job.settings, entry, diagnostics) => {}
            _ => {
                reject(entry, &keys::JOB, diagnostics);
            }
        }
    }
    if !has_steps {
        no_steps(
            entry.key.span,
            format!("the job {} has no steps", quoted(field.key)),
            diagnostics,
        );
    }
    job
}

/// Reads the value of `steps`.
pub(super) fn steps(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<Step> {
    let Some(items) = field.items() else {
        if field.is_null() {
            no_steps(field.span, "`steps` is empty", diagnostics);
        } else {
            diagnostics.push(
                field
                    .wrong_type("a list of steps")
                    .help("start each step with `- `"),
            );
        }
        return Vec::new();
    };
    if items.is_empty() {
        no_steps(field.span, "`steps` is empty", diagnostics);
    }
    if items.len() > limits::STEPS {
        let message = format!(
            "{} steps are more than the {} that a job may have",
            items.len(),
            limits::STEPS
        );
        diagnostics.push(Diagnostic::new(
            Code::TooManySteps,
            field.item(&items[limits::STEPS]).span,
            message,
        ));
    }
    items
        .iter()
        .take(limits::STEPS)
        .filter_map(|item| step(field.item(item), diagnostics))
        .collect()
}

/// Says that something without which there is nothing to do is missing.
pub(super) fn no_steps(span: Span, message: impl Into<String>, diagnostics: &mut Diagnostics) {
    diagnostics.push(
        Diagnostic::new(Code::NoSteps, span, message)
            .help("add one, such as `steps: [{ run: make }]`"),
    );
}

fn id(entry: &Entry, diagnostics: &mut Diagnostics) -> Spanned<String> {
    let text = &*entry.key.text;
    if !is_job_id(text) {
        let message = format!("{} is not a job id", quoted(text));
        let help = "an id has at most 64 of the characters `a-z`, `0-9`, `_` and `-`, and starts with a letter or digit";
        let diagnostic = Diagnostic::new(Code::BadJobId, entry.key.span, message).help(help);
        diagnostics.push(match job_id_for(text) {
            Some(id) => diagnostic.label(format!("could be `{id}`")),
            None => diagnostic,
        });
    }
    Spanned::new(text.to_owned(), entry.key.span)
}

fn mapping<'n>(field: Field<'n>, diagnostics: &mut Diagnostics) -> Option<&'n [Entry]> {
    if field.items().is_some() {
        let message = format!(
            "the job {} is a mapping, and this is a list",
            quoted(field.key)
        );
        diagnostics.push(
            Diagnostic::new(Code::WrongType, field.span, message)
                .help("put the list below a key `steps`"),
        );
        return None;
    }
    field.mapping(diagnostics)
}

fn needs(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<Spanned<String>> {
    let Some(items) = field.items() else {
        let diagnostic = field.wrong_type("a list of job ids");
        diagnostics.push(match field.text(&mut Diagnostics::default()) {
            Some(text) if is_job_id(&text.value) => {
                diagnostic.label(format!("write `[{}]`", text.value))
            }
            _ => diagnostic,
        });
        return Vec::new();
    };
    let texts = items
        .iter()
        .filter_map(|item| field.item(item).text(diagnostics));
    texts
        .map(|text| Spanned::new(text.value.to_string(), text.span))
        .collect()
}
