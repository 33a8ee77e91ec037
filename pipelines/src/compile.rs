//! The way through the rooms: text, tree, syntax, rules, plan.

use crate::{
    Diagnostic, Overrides, Source, diagnostic::Diagnostics, lower, parse, plan::Plan, validate,
    yaml,
};

/// What came out of a source.
#[derive(Debug, Clone)]
pub struct Compilation {
    /// Present exactly when no diagnostic is an error.
    pub plan: Option<Plan>,
    /// Everything there is to say, sorted by place; at most 1,000.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles a pipeline. Never fails and never panics: mistakes are in [`Compilation::diagnostics`], all of them at once.
///
/// Time and memory are linear in the size of the source, which is bounded, and of what its aliases expand to, which is
/// bounded too.
#[must_use]
pub fn compile(source: &Source, overrides: &Overrides) -> Compilation {
    let mut diagnostics = Diagnostics::default();
    let plan = plan(source, overrides, &mut diagnostics);
    Compilation {
        plan,
        diagnostics: diagnostics.into_sorted(),
    }
}

fn plan(source: &Source, overrides: &Overrides, diagnostics: &mut Diagnostics) -> Option<Plan> {
    let root = yaml::load(source, diagnostics)?;
    let pipeline = parse::pipeline(&root, diagnostics)?;
    validate::check(&pipeline, overrides, diagnostics);
    if diagnostics.has_errors() {
        return None;
    }
    lower::lower(&pipeline, overrides, diagnostics)
}
