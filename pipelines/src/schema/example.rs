//! An example of every key: as it stands in the reference, and in a whole pipeline.

use serde_json::Value;

use super::tables;
use crate::{
    Severity, Source,
    diagnostic::Diagnostics,
    parse::{Row, Vocabulary},
    yaml,
};

/// A pipeline that shows a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// What the key belongs to, with an article: `a step`.
    pub of: &'static str,
    /// The key.
    pub key: &'static str,
    /// This version can carry it out.
    pub carried_out: bool,
    /// The text of the pipeline.
    pub pipeline: String,
}

/// A pipeline for every key of the language.
#[must_use]
pub fn examples() -> Vec<Example> {
    let tables = tables();
    // What stands in a key that cannot be carried out cannot either.
    let is_later = |name: &str| {
        let mut rows = tables.iter().flat_map(|table| table.rows());
        rows.any(|row| row.later && leads_to(&row, name))
    };
    let all = tables.iter().flat_map(|table| {
        let later = is_later(table.name());
        table.rows().into_iter().map(move |row| Example {
            of: table.what(),
            key: row.name,
            carried_out: !row.later && !later,
            pipeline: framed(*table, &row),
        })
    });
    all.collect()
}

fn leads_to(row: &Row, name: &str) -> bool {
    let mut inner = Vec::new();
    super::collect(row.shape, &mut inner);
    let mut next = 0;
    while let Some(table) = inner.get(next) {
        if table.name() == name {
            return true;
        }
        for row in table.rows() {
            super::collect(row.shape, &mut inner);
        }
        next += 1;
    }
    false
}

/// The example in its table's frame.
pub(super) fn framed(table: &dyn Vocabulary, row: &Row) -> String {
    let mut lines = Vec::new();
    for line in table.frame().lines() {
        let (line, condition) = line.split_once(" # ").unwrap_or((line, ""));
        let (word, keys) = condition.split_once(' ').unwrap_or((condition, ""));
        let is_named = keys.split(", ").any(|key| key == row.name);
        let stays = match word {
            "else" => !line.trim_start().starts_with(&format!("{}:", row.name)),
            "only" => is_named,
            "unless" => !is_named,
            _ => true,
        };
        if stays {
            lines.push(line.replace("KEY", row.example));
        }
    }
    lines.join("\n") + "\n"
}

/// The example's value.
pub(super) fn value(row: &Row) -> Option<Value> {
    let source = Source::new("example", row.example);
    let mut diagnostics = Diagnostics::about(source.text(), Severity::Error);
    let root = yaml::json(&yaml::load(&source, source.root(), &mut diagnostics)?);
    root.get(row.name).cloned()
}
