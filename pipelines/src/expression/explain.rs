//! What an expression's variables were.

use super::{Known, Reference, Value, Values, parser::Parsed};

/// Variables that are worth telling.
const TOLD: usize = 4;

/// Characters of a value that are worth telling.
const VALUE_CHARS: usize = 60;

pub(super) fn explain(parsed: &Parsed, values: &dyn Values) -> String {
    let mut told: Vec<String> = Vec::new();
    for reference in &parsed.references {
        let written = &parsed.source[reference.range.clone()];
        let value = value(reference, values).and_then(|value| shown(&value));
        let sentence = value.map(|value| format!("{written} is {value}"));
        if let Some(sentence) = sentence
            && told.len() < TOLD
            && !told.contains(&sentence)
        {
            told.push(sentence);
        }
    }
    told.join(", ")
}

/// The first thing an expression reads that is not known.
pub(super) fn unknown(parsed: &Parsed, values: &dyn Values) -> String {
    let name = |reference: &&Reference| match reference.path.first() {
        Some(name) => values.variable(name) == Known::Unknown,
        None => false,
    };
    match parsed.references.iter().find(name) {
        Some(reference) => format!("`{}`", &parsed.source[reference.range.clone()]),
        None => "something in it".to_owned(),
    }
}

fn value(reference: &Reference, values: &dyn Values) -> Option<Value> {
    let (name, keys) = reference.path.split_first()?;
    let variable = values.variable(name);
    let mut value = match &variable {
        Known::Value(value) => value,
        Known::Borrowed(value) => *value,
        Known::Unknown => return None,
    };
    for key in keys {
        value = match value {
            Value::Map(entries) => entries.get(key)?,
            _ => return None,
        };
    }
    Some(value.clone())
}

fn shown(value: &Value) -> Option<String> {
    let text = match value {
        Value::Text(text) => {
            let mut start: String = text.chars().take(VALUE_CHARS).collect();
            if start.len() < text.len() {
                start.push('…');
            }
            format!("{start:?}")
        }
        Value::Null => "null".to_owned(),
        other => other.to_text()?,
    };
    Some(text)
}
