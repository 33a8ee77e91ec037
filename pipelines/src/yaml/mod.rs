//! YAML text becomes a tree whose every node knows its place.
//!
//! YAML 1.2 core schema: `yes`, `no` and `on` are strings. Aliases and merge keys (`<<`) are expanded here, within
//! bounds, so that no later room hears of them. Knows nothing about the keys of a pipeline.
//!
//! ```text
//! Source --text--> clean text --saphyr events--> load --(anchors, merge)--> Node
//! ```

mod anchors;
mod json;
mod load;
mod merge;
mod mistake;
mod node;
mod offsets;
mod overlay;
mod scalar;
mod text;

#[cfg(test)]
mod suite_tests;
#[cfg(test)]
mod tests;

pub(crate) use json::json;
pub(crate) use load::load;
pub(crate) use node::{Entry, Key, Node, Value};
pub(crate) use overlay::{overlay, without};
pub(crate) use scalar::{Scalar, ScalarKind};
