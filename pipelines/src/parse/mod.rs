//! The tree becomes typed syntax: which keys exist where, and what type their values have.
//!
//! `keys` is the language's vocabulary, as tables; the other files read one kind of value each. Everything that is wrong
//! adds a diagnostic and is skipped, siblings are still read.

mod duration;
mod env;
mod fields;
mod job;
mod keys;
mod pipeline;
mod script;
mod settings;
mod shell;
mod step;
mod suggest;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use pipeline::pipeline;
pub(crate) use suggest::closest;
