//! Makes a mapping of the entries that were read: keys once each, `<<` replaced by what it refers to.
//!
//! Source of the merge rules: <https://yaml.org/type/merge.html>. A key of the mapping itself wins, then the first of a
//! list of merged mappings.

use std::{collections::HashMap, rc::Rc};

use super::{
    Entry, Node, Value,
    anchors::{Anchors, Refused},
};
use crate::{
    Code, Diagnostic, Span,
    diagnostic::{Diagnostics, quoted},
};

/// The mapping's entries in order; merged ones behind its own.
///
/// # Errors
/// The merge key's place, when the budget for expansion is used up.
pub(super) fn resolve(
    read: Vec<Entry>,
    anchors: &mut Anchors,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<Entry>, (Span, Refused)> {
    let mut first: HashMap<Rc<str>, Span> = HashMap::with_capacity(read.len());
    let mut entries = Vec::with_capacity(read.len());
    let mut merged = Vec::new();
    for entry in read {
        if let Some(&earlier) = first.get(&entry.key.text) {
            let message = format!("the key {} is there twice", quoted(&entry.key.text));
            diagnostics.push(
                Diagnostic::new(Code::DuplicateKey, entry.key.span, message)
                    .related(earlier, "the first one is here"),
            );
            continue;
        }
        first.insert(Rc::clone(&entry.key.text), entry.key.span);
        if entry.key.plain && &*entry.key.text == "<<" {
            merged.push(entry)
        } else {
            entries.push(entry)
        }
    }
    for merge in &merged {
        for mapping in sources(merge, diagnostics) {
            for entry in mapping {
                if !first.contains_key(&entry.key.text) {
                    anchors
                        .spend(entry.value.weight)
                        .map_err(|refused| (merge.key.span, refused))?;
                    first.insert(Rc::clone(&entry.key.text), entry.key.span);
                    entries.push(entry.clone());
                }
            }
        }
    }
    Ok(entries)
}

/// The mappings that a merge key names: one, or a list of them.
fn sources<'e>(merge: &'e Entry, diagnostics: &mut Diagnostics) -> Vec<&'e [Entry]> {
    let nodes: &[Node] = match &merge.value.value {
        Value::Sequence(items) => items,
        Value::Mapping(_) | Value::Scalar(_) => std::slice::from_ref(&merge.value),
    };
    let mut mappings = Vec::new();
    for node in nodes {
        if let Value::Mapping(entries) = &node.value {
            mappings.push(entries.as_slice());
        } else {
            let message = format!(
                "`<<` merges a mapping or a list of mappings, and this is {}",
                node.describe()
            );
            diagnostics.push(Diagnostic::new(Code::WrongType, merge.place(), message));
        }
    }
    mappings
}
