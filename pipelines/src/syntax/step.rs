use super::{If, Settings, Spanned, Text};
use crate::Span;

/// An item of `steps`.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) span: Span,
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) action: Action,
    pub(crate) settings: Settings,
    pub(crate) condition: Option<If>,
    /// `None` is the step before it.
    pub(crate) needs: Option<Vec<Spanned<String>>>,
    pub(crate) from: Option<Spanned<String>>,
    pub(crate) snapshot: bool,
    pub(crate) inputs: Vec<Text>,
    pub(crate) allow_failure: bool,
    pub(crate) nesting: bool,
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Action {
    /// `run`: the lines of a list, or one text. Never empty.
    Run(Vec<Text>),
    /// No `run`: the step's image says it; `args` in place of the image's own command.
    Entrypoint(Vec<Text>),
}
