//! The tree. Subtrees are shared, so that an alias costs nothing until somebody walks it.

use std::rc::Rc;

use super::Scalar;
use crate::source::Span;

/// A value and its place. In an aliased subtree the place is where the anchor stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
    /// What walking this node costs, aliases expanded: its text in bytes and a constant for every node in it.
    pub(crate) weight: u64,
    /// Levels of collections in this node, itself included; 0 for a scalar.
    pub(super) height: u32,
}

/// The three kinds of YAML nodes.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    Sequence(Rc<Vec<Node>>),
    Mapping(Rc<Vec<Entry>>),
}

/// A key and its value. The keys of a mapping are unique.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) value: Node,
}

/// A scalar used as a key, as text.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: Rc<str>,
    pub(crate) span: Span,
    /// Written without quotes: only then `<<` merges.
    pub(super) plain: bool,
}

impl Node {
    /// The constant cost of a node.
    const WEIGHT: u64 = 16;

    pub(super) fn scalar(span: Span, scalar: Scalar) -> Self {
        let weight = Self::WEIGHT + scalar.text.len() as u64;
        Self {
            span,
            value: Value::Scalar(scalar),
            weight,
            height: 0,
        }
    }

    pub(super) fn sequence(span: Span, items: Vec<Self>) -> Self {
        let (weight, height) = Self::measure(items.iter());
        Self {
            span,
            value: Value::Sequence(Rc::new(items)),
            weight,
            height,
        }
    }

    pub(super) fn mapping(span: Span, entries: Vec<Entry>) -> Self {
        let (weight, height) = Self::measure(entries.iter().map(|entry| &entry.value));
        let keys: u64 = entries
            .iter()
            .map(|entry| Self::WEIGHT + entry.key.text.len() as u64)
            .sum();
        Self {
            span,
            value: Value::Mapping(Rc::new(entries)),
            weight: weight.saturating_add(keys),
            height,
        }
    }

    fn measure<'n>(children: impl Iterator<Item = &'n Self>) -> (u64, u32) {
        children.fold((Self::WEIGHT, 1), |(weight, height), child| {
            (
                weight.saturating_add(child.weight),
                height.max(child.height.saturating_add(1)),
            )
        })
    }

    /// What a message calls this value.
    pub(crate) const fn describe(&self) -> &'static str {
        match &self.value {
            Value::Scalar(scalar) => scalar.kind.describe(),
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

impl Entry {
    /// Where a mistake in the value is shown: at the value, or at the key when there is no value to see.
    pub(crate) const fn place(&self) -> Span {
        if self.value.span.is_empty() {
            self.key.span
        } else {
            self.value.span
        }
    }
}
