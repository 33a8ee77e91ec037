//! Rules that need more than one value to decide, one a file. Each only looks and reports.

mod cycle;
mod image;
mod needs;
mod step_name;

use crate::{Overrides, diagnostic::Diagnostics, syntax::Pipeline};

/// Applies every rule.
pub(crate) fn check(pipeline: &Pipeline, overrides: &Overrides, diagnostics: &mut Diagnostics) {
    needs::check(pipeline, diagnostics);
    cycle::check(pipeline, diagnostics);
    image::check(pipeline, overrides, diagnostics);
    step_name::check(pipeline, diagnostics);
}
