//! Values of a manual start: what was declared, what was given.

use indexmap::IndexMap;

use crate::{
    Code, Diagnostic, Span,
    diagnostic::{Diagnostics, quoted},
    expression::Value,
    parse::closest,
    syntax::{Input, InputType},
};

/// A text as a value of a type; otherwise words that follow the text.
pub(crate) fn read(kind: &InputType, text: &str) -> Result<Value, String> {
    match kind {
        InputType::String => Ok(Value::from(text)),
        InputType::Boolean => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err("is neither `true` nor `false`".to_owned()),
        },
        InputType::Number => text
            .parse::<i64>()
            .map(Value::Int)
            .map_err(|_| "is not a whole number".to_owned()),
        InputType::Choice(options) if options.iter().any(|option| option == text) => {
            Ok(Value::from(text))
        }
        InputType::Choice(options) => Err(format!("is none of `{}`", options.join("`, `"))),
    }
}

/// The inputs' values: given ones, else defaults, else nothing of the type. Reports what does not fit; `span` is where
/// to point when nothing of the file is to blame.
pub(crate) fn values(
    declared: &IndexMap<String, Input>,
    given: &IndexMap<String, String>,
    span: Span,
    diagnostics: &mut Diagnostics,
) -> Value {
    for name in given.keys().filter(|name| !declared.contains_key(*name)) {
        let message = format!("the pipeline declares no input {}", quoted(name));
        let diagnostic = Diagnostic::new(Code::BadInput, span, message);
        diagnostics.push(match closest(name, declared.keys().map(String::as_str)) {
            Some(meant) => diagnostic.help(format!("did you mean `{meant}`?")),
            None => diagnostic.help("inputs are declared under `on`, in `manual: { inputs: .. }`"),
        });
    }
    let values = declared.iter().map(|(name, input)| {
        let value = match given.get(name).map(|text| (text, read(&input.kind, text))) {
            Some((_, Ok(value))) => value,
            Some((text, Err(problem))) => {
                let message = format!("the input {}: {} {problem}", quoted(name), quoted(text));
                diagnostics.push(Diagnostic::new(Code::BadInput, input.span, message));
                Value::Null
            }
            None if input.required && input.default.is_none() => {
                let message = format!("the input {} is required", quoted(name));
                diagnostics.push(
                    Diagnostic::new(Code::BadInput, input.span, message)
                        .help(format!("give it with `--input {name}=VALUE`")),
                );
                Value::Null
            }
            None => input.default.clone().unwrap_or_else(|| empty(&input.kind)),
        };
        (name.clone(), value)
    });
    values.collect()
}

fn empty(kind: &InputType) -> Value {
    match kind {
        InputType::String | InputType::Choice(_) => Value::from(""),
        InputType::Boolean => Value::Bool(false),
        InputType::Number => Value::Int(0),
    }
}
