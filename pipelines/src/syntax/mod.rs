//! A pipeline as it was written: typed, every value with its place, nothing filled in.
//!
//! `parse` builds these, `validate` reads them, `lower` turns them into a plan. A value that `parse` could not read is
//! present with some stand-in, so that no later rule calls it missing; there is no plan in that case. Parts that mean the
//! same in a plan are the plan's own types, with [`Text`]s in place of templates.

mod condition;
mod job;
mod matrix;
mod pipeline;
mod settings;
mod spanned;
mod step;
mod target;
pub(crate) mod text;
mod texts;
mod triggers;

pub(crate) use condition::If;
pub(crate) use job::Job;
pub(crate) use matrix::{Include, Matrix};
pub(crate) use pipeline::Pipeline;
pub(crate) use settings::{EnvVar, Settings};
pub(crate) use spanned::{Spanned, Text};
pub(crate) use step::{Action, Step};
pub(crate) use target::target_problem;
pub(crate) use triggers::{Filter, Input, InputType, Triggers};
