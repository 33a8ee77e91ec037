//! `run`: a script, or a list of commands that becomes one.

use super::{
    shape::{Shape, Type},
    value::Field,
};
use crate::{Code, Diagnostic, diagnostic::Diagnostics, syntax::Text};

pub(super) const SCRIPT: Type<Vec<Text>> = Type {
    words: "string or list of strings",
    shape: Shape::Either(&[
        Shape::TextLike(r"\S"),
        Shape::List {
            of: &Shape::Text,
            least: 1,
            most: None,
        },
    ]),
    read: script,
};

/// The script's lines. Empty ones, with an error, when there is none: the step still counts as one with a `run`.
fn script(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<Text> {
    let mut script = Vec::new();
    let mut understood = true;
    let mut read = |field: Field<'_>| match field.template(diagnostics) {
        Some(text) => script.push(text),
        None => understood = false,
    };
    if let Some(items) = field.items() {
        items.iter().for_each(|item| read(field.item(item)));
    } else if !field.is_null() {
        read(field);
    }
    if understood && script.iter().all(|text| text.as_str().trim().is_empty()) {
        diagnostics.push(
            Diagnostic::new(Code::EmptyRun, field.span, "`run` has no command")
                .help("write a command, or remove the step"),
        );
    }
    script
}
