//! `inputs` of a manual start: names, types, defaults.

use indexmap::IndexMap;

use super::{
    keys::{Keys, Put, key},
    shape::{Shape, Type},
    shared::{BOOLEAN, IDENTIFIER},
    value::Field,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    inputs::read,
    syntax::{Input, InputType, Spanned, text::env_name_problem},
    yaml::Entry,
};

pub(super) const INPUTS: Type<IndexMap<String, Input>> = Type {
    words: "mapping of names to [inputs](#input)",
    shape: Shape::Map {
        names: Some(IDENTIFIER),
        of: &Shape::Either(&[Shape::Nothing, Shape::Keys(&KEYS)]),
        least: 0,
        most: None,
    },
    read: |field, diagnostics| {
        let entries = field.mapping(diagnostics).unwrap_or_default();
        entries
            .iter()
            .filter_map(|entry| Some((entry.key.text.to_string(), input(entry, diagnostics)?)))
            .collect()
    },
};

#[derive(Debug, Default)]
struct Draft {
    kind: Option<Spanned<String>>,
    options: Vec<Spanned<String>>,
    default: Option<Spanned<String>>,
    required: bool,
}

static KEYS: Keys<Draft> = Keys {
    name: "input",
    what: "an input",
    keys: &[
        key(
            "type",
            &Put(&TYPE, |input: &mut Draft, kind| input.kind = kind),
        )
        .default("`string`; with `options`, `choice`")
        .means("What it may be: `string`, `boolean`, `number` (a whole one) or `choice`.")
        .example("type: boolean"),
        key(
            "options",
            &Put(&OPTIONS, |input: &mut Draft, options| {
                input.options = options
            }),
        )
        .means("What can be chosen from.")
        .example("options: [patch, minor]"),
        key(
            "default",
            &Put(&LITERAL, |input: &mut Draft, default| {
                input.default = default
            }),
        )
        .default("an empty string, `false`, `0`")
        .means("Its value when none is given.")
        .example("default: patch"),
        key(
            "required",
            &Put(&BOOLEAN, |input: &mut Draft, required| {
                input.required = required
            }),
        )
        .default("`false`")
        .means("Nothing runs without it, unless it has a `default`.")
        .example("required: true"),
    ],
    rules: &[],
    others: None,
    frame: "\
on:
  manual:
    inputs:
      level:
        KEY
image: host
steps: [{ run: 'true' }]
",
};

const TYPE: Type<Option<Spanned<String>>> = Type {
    words: "string",
    shape: Shape::Word(&["string", "boolean", "number", "choice"]),
    read: literal,
};

const LITERAL: Type<Option<Spanned<String>>> = Type {
    words: "string, boolean or number",
    shape: Shape::Literal,
    read: literal,
};

const OPTIONS: Type<Vec<Spanned<String>>> = Type {
    words: "list of strings",
    shape: Shape::list(&Shape::Literal),
    read: |field, diagnostics| field.literals("a list of choices", diagnostics),
};

fn literal(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
    let text = field.literal(diagnostics)?;
    Some(Spanned::new(text.value.to_string(), text.span))
}

fn input(entry: &Entry, diagnostics: &mut Diagnostics) -> Option<Input> {
    let field = Field::of(entry);
    if let Some(problem) = env_name_problem(field.key) {
        let message = format!("the name of the input {} {problem}", quoted(field.key));
        diagnostics.push(Diagnostic::new(Code::BadName, entry.key.span, message));
    }
    let mut input = Input {
        span: entry.key.span,
        kind: InputType::String,
        default: None,
        required: false,
    };
    if field.is_null() {
        return Some(input);
    }
    let mut draft = Draft::default();
    KEYS.read(&mut draft, field, diagnostics)?;
    let Draft {
        kind,
        options,
        default,
        required,
    } = draft;
    input.required = required;
    let options: Vec<String> = options.into_iter().map(|option| option.value).collect();
    input.kind = match kind.as_ref().map(|kind| &*kind.value) {
        None if options.is_empty() => InputType::String,
        None | Some("choice") => InputType::Choice(options),
        Some("string") => InputType::String,
        Some("boolean") => InputType::Boolean,
        Some("number") => InputType::Number,
        Some(other) => {
            let message = format!("there is no type {}", quoted(other));
            diagnostics.push(
                Diagnostic::new(Code::WrongType, field.span, message)
                    .help("the types are `string`, `boolean`, `number` and `choice`"),
            );
            InputType::String
        }
    };
    if input.kind == InputType::Choice(Vec::new()) {
        field.lacks("options", "options: [patch, minor]", diagnostics);
    }
    if let Some(default) = default {
        match read(&input.kind, &default.value) {
            Ok(value) => input.default = Some(value),
            Err(problem) => {
                let message = format!("the default {} {problem}", quoted(&default.value));
                diagnostics.push(Diagnostic::new(Code::BadInput, default.span, message));
            }
        }
    }
    Some(input)
}
