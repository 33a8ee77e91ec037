//! `secrets`: names of values that come from outside.

use super::{
    shape::{Shape, Type},
    value::Field,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    syntax::{Spanned, text::env_name_problem},
};

pub(super) const SECRETS: Type<Vec<Spanned<String>>> = Type {
    words: "list of names",
    shape: Shape::list(&Shape::Identifier),
    read: secrets,
};

fn secrets(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<Spanned<String>> {
    let names = field.literals("a list of names", diagnostics);
    for name in &names {
        if let Some(problem) = env_name_problem(&name.value) {
            let message = format!("the name of the secret {} {problem}", quoted(&name.value));
            diagnostics.push(
                Diagnostic::new(Code::BadSecret, name.span, message)
                    .help("a step finds its secrets in its environment, under their names"),
            );
        }
    }
    names
}
