//! The tree becomes typed syntax: which keys exist where, and what type their values have.
//!
//! `keys` is what a table of keys is, `shape` what a type of values; the other files have the tables and types of one part of
//! the language each, and read it. Everything that is wrong adds a diagnostic and is skipped, siblings are still read.

mod build;
mod concurrency;
mod condition;
mod duration;
mod env;
mod fields;
mod habits;
mod include;
mod inputs;
mod job;
mod keys;
mod matrix;
mod network;
mod pipeline;
mod resources;
mod retry;
mod script;
mod secrets;
mod service;
mod settings;
mod shape;
mod shared;
mod shell;
mod step;
mod storage;
mod suggest;
mod triggers;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use include::includes;
pub(crate) use keys::{Row, Rule, Vocabulary};
pub(crate) use pipeline::pipeline;
pub(crate) use settings::bad_image;
pub(crate) use shape::Shape;
pub(crate) use shared::IDENTIFIER;
pub(crate) use suggest::closest;

/// The table of the whole file; it leads to all others.
pub(crate) const ROOT: &dyn Vocabulary = &pipeline::PIPELINE;
