//! Every step has an image: its own, its job's, the pipeline's or the command line's.

use crate::{
    Code, Diagnostic, Overrides,
    diagnostic::Diagnostics,
    syntax::{Action, Pipeline},
};

pub(super) fn check(pipeline: &Pipeline, overrides: &Overrides, diagnostics: &mut Diagnostics) {
    if overrides.image.is_some() || pipeline.settings.image.is_some() {
        return;
    }
    let inheriting = pipeline
        .jobs
        .iter()
        .filter(|job| job.settings.image.is_none())
        .flat_map(|job| job.steps.iter().chain(&job.after));
    // A step that also lacks `run` has been told already.
    let mut without = inheriting
        .filter(|step| step.settings.image.is_none() && matches!(step.action, Action::Run(_)));
    let Some(first) = without.next() else { return };
    let message = match without.count() {
        0 => "this step has no image".to_owned(),
        1 => "this step and another one have no image".to_owned(),
        others => format!("this step and {others} others have no image"),
    };
    diagnostics.push(
        Diagnostic::new(Code::MissingImage, first.span, message)
            .help("add `image` to the pipeline: `image: host` needs nothing, `image: debian:bookworm` is pulled"),
    );
}
