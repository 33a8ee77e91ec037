//! A pipeline as it was written: typed, every value with its place, nothing filled in.
//!
//! `parse` builds these, `validate` reads them, `lower` turns them into a plan. A value that `parse` could not read is
//! present with some stand-in, so that no later rule calls it missing; there is no plan in that case.

mod job;
mod pipeline;
mod settings;
mod spanned;
mod step;
pub(crate) mod text;

pub(crate) use job::Job;
pub(crate) use pipeline::Pipeline;
pub(crate) use settings::{EnvVar, Settings};
pub(crate) use spanned::Spanned;
pub(crate) use step::{Action, Step};
