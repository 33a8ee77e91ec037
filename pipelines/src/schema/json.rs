//! The JSON Schema of a pipeline file.
//!
//! Source: JSON Schema, draft 2020-12.

use serde_json::{Map, Value, json as value};

use super::{example, tables};
use crate::parse::{IDENTIFIER, ROOT, Row, Rule, Shape, Vocabulary};

/// A text with an expression in it, which may become anything.
const EXPRESSION: &str = r"\$\{\{";

/// The schema: draft 2020-12, a definition for every kind of mapping.
///
/// What lints without an error is valid. The reverse holds for shapes (keys, types, words, patterns), not for what takes
/// more than one value to see, such as a `needs` of a job that does not exist. One thing is taken for complete that need
/// not be: a mapping whose required key comes from an included file, unless it is the pipeline or a job.
#[must_use]
pub fn json() -> Value {
    let definitions: Map<String, Value> = tables()
        .into_iter()
        .map(|table| (table.name().to_owned(), definition(table)))
        .collect();
    value!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": ".pipeline.yml",
        "description": "A pipeline of Slipway.",
        "$ref": reference(ROOT),
        // Another file may bring what this one lacks.
        "if": { "required": ["include"] },
        "else": {
            "allOf": rules(ROOT),
            "properties": { "jobs": { "additionalProperties": { "allOf": rules_by_name("job") } } },
        },
        "$defs": definitions,
    })
}

fn definition(table: &'static dyn Vocabulary) -> Value {
    let rows = table.rows();
    let required: Vec<&str> = rows
        .iter()
        .filter(|row| row.required)
        .map(|row| row.name)
        .collect();
    let properties: Map<String, Value> = rows
        .iter()
        .map(|row| (row.name.to_owned(), property(row)))
        .collect();
    let mut definition = Map::from_iter([
        ("type".to_owned(), value!("object")),
        ("properties".to_owned(), properties.into()),
    ]);
    match table.others() {
        None => definition.insert("additionalProperties".to_owned(), value!(false)),
        Some((names, shape)) => {
            definition.insert("propertyNames".to_owned(), value!({ "pattern": names }));
            definition.insert("additionalProperties".to_owned(), of_shape(shape))
        }
    };
    if !required.is_empty() {
        definition.insert("required".to_owned(), value!(required));
    }
    let rules = rules(table);
    // An included file may bring the keys of these two; see above.
    if !rules.is_empty() && !MERGED.contains(&table.name()) {
        definition.insert("allOf".to_owned(), value!(rules));
    }
    definition.into()
}

/// Tables whose rules hold for the pipeline as a whole, with all that it includes.
const MERGED: [&str; 2] = ["pipeline", "job"];

fn rules_by_name(name: &str) -> Vec<Value> {
    let table = tables().into_iter().find(|table| table.name() == name);
    table.map(rules).unwrap_or_default()
}

fn rules(table: &'static dyn Vocabulary) -> Vec<Value> {
    table.rules().iter().map(rule).collect()
}

fn rule(rule: &Rule) -> Value {
    let required = |keys: &[&str]| value!({ "required": keys });
    match rule {
        Rule::Any(keys) => {
            let each: Vec<Value> = keys.iter().map(|key| required(&[key])).collect();
            value!({ "anyOf": each })
        }
        Rule::AtMostOne(keys) => {
            let pairs = keys
                .iter()
                .enumerate()
                .flat_map(|(at, one)| keys[at + 1..].iter().map(|other| required(&[one, other])));
            value!({ "not": { "anyOf": pairs.collect::<Vec<_>>() } })
        }
        Rule::Together(keys) => {
            let each = keys.iter().map(|key| {
                let others = keys.iter().filter(|other| *other != key);
                ((*key).to_owned(), value!(others.collect::<Vec<_>>()))
            });
            value!({ "dependentRequired": each.collect::<Map<_, _>>() })
        }
    }
}

fn property(row: &Row) -> Value {
    let mut description = row.meaning.to_owned();
    if !row.default.is_empty() {
        description.push_str(&format!(" Default: {}.", row.default));
    }
    if row.later {
        description.push_str(" Not carried out yet.");
    }
    let mut property = match of_shape(row.shape) {
        Value::Object(shape) => shape,
        _ => Map::new(),
    };
    property.insert("description".to_owned(), description.into());
    if let Some(example) = example::value(row) {
        property.insert("examples".to_owned(), value!([example]));
    }
    property.into()
}

fn reference(table: &dyn Vocabulary) -> Value {
    format!("#/$defs/{}", table.name()).into()
}

fn of_shape(shape: &Shape) -> Value {
    const SCALARS: [&str; 3] = ["string", "number", "boolean"];
    let literal = || value!({ "type": "string", "pattern": EXPRESSION });
    match shape {
        Shape::Nothing => value!({ "type": "null" }),
        Shape::Boolean => value!({ "type": "boolean" }),
        Shape::Number { most } => {
            value!({ "type": "number", "exclusiveMinimum": 0, "maximum": most })
        }
        Shape::Count(most) => value!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": most },
            { "type": "string", "pattern": r"^\+?0*[1-9][0-9]*$" },
        ] }),
        Shape::Text => value!({ "type": SCALARS }),
        Shape::TextLike(pattern) => {
            value!({ "type": SCALARS, "pattern": format!("{EXPRESSION}|{pattern}") })
        }
        Shape::Literal => value!({ "type": SCALARS, "not": literal() }),
        Shape::LiteralLike(pattern) => {
            value!({ "type": SCALARS, "pattern": pattern, "not": literal() })
        }
        Shape::Identifier => {
            value!({ "type": ["string", "boolean"], "pattern": IDENTIFIER })
        }
        Shape::StringLike(pattern) => value!({ "type": "string", "pattern": pattern }),
        Shape::Condition => value!({ "type": ["string", "boolean"] }),
        Shape::Word(words) => value!({ "enum": words }),
        Shape::List { of, least, most } => bounded(
            value!({ "type": "array", "items": of_shape(of) }),
            ("minItems", *least),
            ("maxItems", *most),
        ),
        Shape::Arguments => value!({
            "type": "array",
            "minItems": 1,
            "prefixItems": [of_shape(&Shape::TextLike(r"\S"))],
            "items": of_shape(&Shape::Text),
        }),
        Shape::Map {
            names,
            of,
            least,
            most,
        } => {
            let mut map = value!({ "type": "object", "additionalProperties": of_shape(of) });
            if let Some(names) = names {
                map["propertyNames"] = value!({ "pattern": names });
            }
            bounded(map, ("minProperties", *least), ("maxProperties", *most))
        }
        Shape::Keys(table) => value!({ "$ref": reference(*table) }),
        Shape::Either(shapes) => {
            value!({ "anyOf": shapes.iter().map(of_shape).collect::<Vec<_>>() })
        }
    }
}

fn bounded(mut schema: Value, least: (&str, usize), most: (&str, Option<usize>)) -> Value {
    if least.1 > 0 {
        schema[least.0] = value!(least.1);
    }
    if let Some(limit) = most.1 {
        schema[most.0] = value!(limit);
    }
    schema
}
