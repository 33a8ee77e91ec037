//! One mapping over another.

use std::collections::HashMap;

use super::{Entry, Node, Value};

/// `upper` over `lower`: where both have a mapping, key by key, in the order of `lower` and then of `upper`; elsewhere
/// `upper` alone. As deep as trees may be, which bounds the recursion.
pub(crate) fn overlay(lower: &Node, upper: &Node) -> Node {
    let (Value::Mapping(below), Value::Mapping(above)) = (&lower.value, &upper.value) else {
        return upper.clone();
    };
    let mut rest: HashMap<&str, &Entry> = above.iter().map(|e| (&*e.key.text, e)).collect();
    let mut entries: Vec<Entry> = Vec::with_capacity(below.len() + above.len());
    for entry in below.iter() {
        entries.push(match rest.remove(&*entry.key.text) {
            Some(over) => Entry {
                key: over.key.clone(),
                value: overlay(&entry.value, &over.value),
            },
            None => entry.clone(),
        });
    }
    let new = above.iter().filter(|e| rest.contains_key(&*e.key.text));
    entries.extend(new.cloned());
    Node::mapping(upper.span, entries)
}

/// A mapping without one of its keys; any other node as it is.
pub(crate) fn without(node: &Node, key: &str) -> Node {
    let Value::Mapping(entries) = &node.value else {
        return node.clone();
    };
    let kept = entries.iter().filter(|entry| &*entry.key.text != key);
    Node::mapping(node.span, kept.cloned().collect())
}
