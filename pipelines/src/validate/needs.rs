//! `needs` names other jobs of the pipeline, each once.

use std::collections::{HashMap, HashSet};

use crate::{
    Code, Diagnostic, Span,
    diagnostic::{Diagnostics, quoted},
    parse::closest,
    syntax::{Job, Pipeline, Spanned},
};

pub(super) fn check(pipeline: &Pipeline, diagnostics: &mut Diagnostics) {
    let ids: HashSet<&str> = pipeline
        .jobs
        .iter()
        .map(|job| job.id.value.as_str())
        .collect();
    for job in &pipeline.jobs {
        let mut first: HashMap<&str, Span> = HashMap::new();
        for need in &job.needs {
            if let Some(&earlier) = first.get(need.value.as_str()) {
                let message = format!("the job {} is needed twice", quoted(&need.value));
                diagnostics.push(
                    Diagnostic::new(Code::DuplicateNeed, need.span, message)
                        .related(earlier, "the first one is here"),
                );
                continue;
            }
            first.insert(&need.value, need.span);
            if need.value == job.id.value {
                let message = format!("the job {} needs itself", quoted(&need.value));
                diagnostics.push(
                    Diagnostic::new(Code::SelfNeed, need.span, message)
                        .help("remove it from `needs`"),
                );
            } else if !ids.contains(need.value.as_str()) {
                let diagnostic = unknown(job, need, pipeline, diagnostics.wants_suggestions());
                diagnostics.push(diagnostic);
            }
        }
    }
}

fn unknown(job: &Job, need: &Spanned<String>, pipeline: &Pipeline, suggest: bool) -> Diagnostic {
    let message = format!("there is no job {}", quoted(&need.value));
    let diagnostic = Diagnostic::new(Code::UnknownNeed, need.span, message);
    let others = || {
        pipeline
            .jobs
            .iter()
            .map(|job| job.id.value.as_str())
            .filter(|id| *id != job.id.value)
    };
    if !suggest {
        return diagnostic;
    }
    if let Some(meant) = closest(&need.value, others()) {
        return diagnostic.label(format!("did you mean `{meant}`?"));
    }
    let few: Vec<String> = others().take(9).map(quoted).collect();
    match few.len() {
        0 => diagnostic.help("it is the only job of the pipeline, so that it can need no other"),
        1..=8 => diagnostic.help(format!("the other jobs are {}", few.join(", "))),
        _ => diagnostic,
    }
}
