//! `env`: a mapping of names to scalars, taken as they were written.

use super::{
    shape::{Shape, Type},
    shared::IDENTIFIER,
    value::Field,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    syntax::{EnvVar, text::env_name_problem},
};

pub(super) const ENV: Type<Vec<EnvVar>> = Type {
    words: "[environment](#environment)",
    shape: Shape::Map {
        names: Some(IDENTIFIER),
        of: &Shape::Text,
        least: 0,
        most: None,
    },
    read: env,
};

fn env(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<EnvVar> {
    let mut env = Vec::new();
    for entry in field.mapping(diagnostics).unwrap_or_default() {
        let name = &*entry.key.text;
        let variable = Field::of(entry);
        if let Some(problem) = env_name_problem(name) {
            let message = format!("the environment variable name {} {problem}", quoted(name));
            diagnostics.push(Diagnostic::new(Code::BadEnvName, entry.key.span, message));
        }
        if variable.is_null() {
            diagnostics.push(
                variable
                    .wrong_type("a string")
                    .help("write \"\" for an empty value"),
            );
        } else if let Some(value) = variable.template(diagnostics) {
            env.push(EnvVar {
                name: name.to_owned(),
                value,
            });
        }
    }
    env
}
