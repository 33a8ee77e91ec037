//! What others need to know of the language, written from the tables the parser reads (`parse::keys`): a JSON Schema for
//! editors, the tables of the reference, and an example of every key.
//!
//! ```text
//! parse::ROOT --(tables lead to tables)--> json (schema) | reference (Markdown) | example (pipelines)
//! ```

mod example;
mod json;
mod reference;

#[cfg(test)]
mod tests;

use crate::parse::{ROOT, Shape, Vocabulary};

pub use example::{Example, examples};
pub use json::json;
pub use reference::{MissingTable, reference};

/// Every table of the language, each once, an outer one before those that it leads to.
fn tables() -> Vec<&'static dyn Vocabulary> {
    let mut found: Vec<&'static dyn Vocabulary> = vec![ROOT];
    let mut next = 0;
    while let Some(table) = found.get(next) {
        let shapes = table.rows().into_iter().map(|row| row.shape);
        let mut inner = Vec::new();
        for shape in shapes.chain(table.others().map(|(_, shape)| shape)) {
            collect(shape, &mut inner);
        }
        for table in inner {
            if !found.iter().any(|known| known.name() == table.name()) {
                found.push(table);
            }
        }
        next += 1;
    }
    found
}

fn collect(shape: &'static Shape, tables: &mut Vec<&'static dyn Vocabulary>) {
    match shape {
        Shape::Keys(table) => tables.push(*table),
        Shape::List { of, .. } | Shape::Map { of, .. } => collect(of, tables),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| collect(shape, tables)),
        _ => {}
    }
}
