use super::{Settings, Spanned};
use crate::Span;

/// An item of `steps`.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) span: Span,
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) action: Action,
    pub(crate) settings: Settings,
    pub(crate) allow_failure: bool,
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Action {
    /// `run`, a list joined by newlines.
    Run(String),
    /// No `run`: the step's image says it.
    Entrypoint,
}
