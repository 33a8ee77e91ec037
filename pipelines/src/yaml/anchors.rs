//! Anchors and what expanding their aliases may cost.
//!
//! Ten lines of aliases can stand for billions of nodes. Subtrees are shared, so the tree itself stays small, but later
//! rooms walk it as if it were expanded: every alias therefore pays the full weight of its target from one budget.

use std::collections::HashMap;

use super::Node;
use crate::limits;

/// The anchors of a document and what is left of the budget.
#[derive(Debug)]
pub(super) struct Anchors {
    nodes: HashMap<usize, Node>,
    budget: u64,
}

/// Why an alias could not be expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The alias stands inside the node it refers to.
    Recursive,
    /// All aliases together expand to too much.
    TooMuch,
}

impl Anchors {
    pub(super) fn new() -> Self {
        Self {
            nodes: HashMap::new(),
            budget: limits::ALIAS_BYTES,
        }
    }

    /// Remembers a complete node; the id 0 means that it has no anchor.
    pub(super) fn define(&mut self, id: usize, node: &Node) {
        if id != 0 {
            self.nodes.insert(id, node.clone());
        }
    }

    pub(super) fn resolve(&mut self, id: usize) -> Result<Node, Refused> {
        let node = self.nodes.get(&id).cloned().ok_or(Refused::Recursive)?;
        self.spend(node.weight)?;
        Ok(node)
    }

    /// Takes what walking copied nodes will cost.
    pub(super) fn spend(&mut self, weight: u64) -> Result<(), Refused> {
        self.budget = self.budget.checked_sub(weight).ok_or(Refused::TooMuch)?;
        Ok(())
    }
}
