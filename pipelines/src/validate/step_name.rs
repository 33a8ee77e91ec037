//! Names that steps were given are unique in their job. Names that they get from their script are numbered instead.

use std::collections::HashMap;

use crate::{
    Code, Diagnostic, Span,
    diagnostic::{Diagnostics, quoted},
    syntax::Pipeline,
};

pub(super) fn check(pipeline: &Pipeline, diagnostics: &mut Diagnostics) {
    for job in &pipeline.jobs {
        let mut first: HashMap<&str, Span> = HashMap::new();
        let steps = job.steps.iter().chain(&job.after);
        for name in steps.filter_map(|step| step.name.as_ref()) {
            if let Some(&earlier) = first.get(name.value.as_str()) {
                let message = format!("two steps of the job are called {}", quoted(&name.value));
                diagnostics.push(
                    Diagnostic::new(Code::DuplicateStep, name.span, message)
                        .related(earlier, "the first one is here")
                        .help("give every step of a job a name of its own"),
                );
            } else {
                first.insert(&name.value, name.span);
            }
        }
    }
}
