//! `run`: a script, or a list of commands that becomes one.

use super::value::Field;
use crate::{Code, Diagnostic, diagnostic::Diagnostics};

/// The script's text. Empty, with an error, when there is none: the step still counts as one with a `run`.
pub(super) fn script(field: Field<'_>, diagnostics: &mut Diagnostics) -> String {
    let mut script = String::new();
    let mut understood = true;
    if let Some(items) = field.items() {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                script.push('\n');
            }
            match field.item(item).text(diagnostics) {
                Some(text) => script.push_str(&text.value),
                None => understood = false,
            }
        }
    } else if !field.is_null() {
        match field.text(diagnostics) {
            Some(text) => script.push_str(&text.value),
            None => understood = false,
        }
    }
    if understood && script.trim().is_empty() {
        diagnostics.push(
            Diagnostic::new(Code::EmptyRun, field.span, "`run` has no command")
                .help("write a command, or remove the step"),
        );
    }
    script
}
