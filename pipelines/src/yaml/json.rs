//! A tree as JSON, for those who know a value and no places.

use serde_json::Value as Json;

use super::{Node, ScalarKind, Value};

/// The value as JSON has it: what an editor makes of the same text.
pub(crate) fn json(node: &Node) -> Json {
    match &node.value {
        Value::Sequence(items) => items.iter().map(json).collect(),
        Value::Mapping(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|entry| (entry.key.text.to_string(), json(&entry.value)));
            Json::Object(entries.collect())
        }
        Value::Scalar(scalar) => match scalar.kind {
            ScalarKind::Null => Json::Null,
            ScalarKind::Bool(value) => Json::Bool(value),
            ScalarKind::Number => number(&scalar.text),
            ScalarKind::String => Json::from(&*scalar.text),
        },
    }
}

/// A number as JSON writes it, so that `0o14`, `12e3` and `1_000`'s like compare by value.
fn number(text: &str) -> Json {
    let digits = |prefix, radix| {
        let digits = text.strip_prefix(prefix)?;
        i64::from_str_radix(digits, radix).ok()
    };
    let whole = digits("0o", 8).or_else(|| digits("0x", 16));
    let whole = whole.or_else(|| text.trim_start_matches('+').parse().ok());
    match whole {
        Some(whole) => Json::from(whole),
        None => text.parse::<f64>().map_or(Json::Null, Json::from),
    }
}
