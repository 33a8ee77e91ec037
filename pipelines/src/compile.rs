//! The way through the rooms: text, tree, syntax, rules, plan.

use crate::{
    Context, Diagnostic, Origins, Overrides, Severity, Source, diagnostic::Diagnostics, include,
    lower, parse, plan::Plan, validate,
};

/// What a compilation is told beside the source.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the command line changes.
    pub overrides: Overrides,
    /// The event it runs for; `None` leaves everything open that depends on it.
    pub context: Option<Context>,
    /// How much a key weighs that this version cannot carry out: an error where the plan is to be run.
    pub not_yet: Severity,
    /// Note where the values of the plan come from.
    pub origins: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            overrides: Overrides::default(),
            context: None,
            not_yet: Severity::Error,
            origins: false,
        }
    }
}

/// What came out of a source.
#[derive(Debug, Clone)]
pub struct Compilation {
    /// Present exactly when no diagnostic is an error.
    pub plan: Option<Plan>,
    /// Where its values come from; empty unless that was asked for.
    pub origins: Origins,
    /// Everything there is to say, sorted by place; at most 1,000.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles a pipeline for an event that is not known yet. See [`compile_with`].
#[must_use]
pub fn compile(source: &Source, overrides: &Overrides) -> Compilation {
    let options = Options {
        overrides: overrides.clone(),
        ..Options::default()
    };
    compile_with(source, &options)
}

/// Compiles a pipeline. Never fails and never panics: mistakes are in [`Compilation::diagnostics`], all of them at once.
///
/// Time and memory are linear in the size of the source, which is bounded, and of what its aliases and matrices expand
/// to, which is bounded too.
#[must_use]
pub fn compile_with(source: &Source, options: &Options) -> Compilation {
    let mut diagnostics = Diagnostics::about(source.text(), options.not_yet);
    let plan = plan(source, options, &mut diagnostics);
    // Lowering finds mistakes as well.
    let (plan, origins) = plan.filter(|_| !diagnostics.has_errors()).unzip();
    Compilation {
        plan,
        origins: origins.unwrap_or_default(),
        diagnostics: diagnostics.into_sorted(),
    }
}

fn plan(
    source: &Source,
    options: &Options,
    diagnostics: &mut Diagnostics,
) -> Option<(Plan, Origins)> {
    let root = include::load(source, diagnostics)?;
    let pipeline = parse::pipeline(&root, diagnostics)?;
    validate::check(&pipeline, &options.overrides, diagnostics);
    if diagnostics.has_errors() {
        return None;
    }
    let plan = lower::lower(source, &pipeline, options, diagnostics)?;
    let origins = match options.origins {
        true => lower::origins(source, &pipeline, options),
        false => Origins::new(),
    };
    Some((plan, origins))
}
