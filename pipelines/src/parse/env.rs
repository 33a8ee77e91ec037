//! `env`: a mapping of names to scalars, taken as they were written.

use super::value::Field;
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    syntax::{EnvVar, text::env_name_problem},
};

pub(super) fn env(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<EnvVar> {
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
        } else if let Some(value) = variable.text(diagnostics) {
            env.push(EnvVar {
                name: name.to_owned(),
                value: value.value.to_string(),
            });
        }
    }
    env
}
