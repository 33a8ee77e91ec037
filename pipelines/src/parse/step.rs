//! An item of `steps`.

use super::{fields::reject, keys, script::script, settings, value::Field};
use crate::{
    Code, Diagnostic,
    diagnostic::Diagnostics,
    syntax::{Action, Settings, Spanned, Step},
    yaml::Value,
};

/// Reads a step. `None`, with an error, when it is no mapping.
pub(super) fn step(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Step> {
    let Value::Mapping(entries) = &field.node.value else {
        let message = format!("a step is a mapping, and this is {}", field.node.describe());
        let diagnostic = Diagnostic::new(Code::WrongType, field.span, message);
        let is_text = matches!(field.node.value, Value::Scalar(_)) && !field.is_null();
        diagnostics.push(if is_text {
            diagnostic.help("write `- run: …`")
        } else {
            diagnostic
        });
        return None;
    };
    let mut name = None;
    let mut run = None;
    let mut settings = Settings::default();
    let mut allow_failure = false;
    for entry in entries.iter() {
        let value = Field::of(entry);
        match value.key {
            "name" => name = value.name(diagnostics),
            "run" => run = Some(script(value, diagnostics)),
            "allow_failure" => allow_failure = value.boolean(diagnostics).unwrap_or_default(),
            _ if settings::read(&mut settings, entry, diagnostics) => {}
            _ => {
                if reject(entry, &keys::STEP, diagnostics) == Some("run") {
                    run = run.or_else(|| Some(String::new()));
                }
            }
        }
    }
    let action = match run {
        Some(script) => Action::Run(script),
        None => {
            entrypoint(field, &settings, diagnostics);
            Action::Entrypoint
        }
    };
    Some(Step {
        span: field.span,
        name,
        action,
        settings,
        allow_failure,
    })
}

/// A step without `run` runs what its image says, so that it needs one of its own: an inherited one has a shell to offer,
/// not a command.
fn entrypoint(field: Field<'_>, settings: &Settings, diagnostics: &mut Diagnostics) {
    if settings.image.is_none() {
        diagnostics.push(
            Diagnostic::new(Code::MissingRun, field.span, "the step has no `run`")
                .help("add `run`, or an `image` of its own whose entrypoint is to be run"),
        );
    } else if let Some(Spanned { span, .. }) = &settings.shell {
        let message = "`shell` has no effect in a step without `run`";
        diagnostics.push(
            Diagnostic::new(Code::UnusedKey, *span, message).help("add `run`, or remove `shell`"),
        );
    }
}
