//! The queue's policy: pure, synchronous, and tested without a database. `operation` loads what it needs to know, asks it, and
//! keeps what it says.

pub(crate) mod dispatch;
pub(crate) mod graph;
pub(crate) mod node;
#[cfg(test)]
mod properties;
mod retry;
mod structure;
mod structures;
mod turn;
pub(crate) mod watch;

pub(crate) use dispatch::{Asking, Labels, Lane, assign, has_labels};
pub(crate) use graph::Graph;
pub(crate) use node::{End, Group, Node, State, Stopping};
pub use retry::RetryPolicy;
pub(crate) use retry::{Loss, unanswered, unreadable};
pub(crate) use structure::Structure;
pub(crate) use structures::Structures;
pub(crate) use watch::Watch;
