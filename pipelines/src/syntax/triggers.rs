use indexmap::IndexMap;

use crate::{Span, expression::Value, glob::GlobList};

/// `on`: which events start the pipeline.
#[derive(Debug, Default)]
pub(crate) struct Triggers {
    pub(crate) push: Option<Filter>,
    pub(crate) pull_request: Option<Filter>,
    pub(crate) tag: Option<Filter>,
    /// Lines of five fields (crontab(5)).
    pub(crate) schedule: Option<Vec<String>>,
    /// Declared inputs, by name.
    pub(crate) manual: Option<IndexMap<String, Input>>,
}

/// Which of an event's occurrences count; an absent list is all of them.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) branches: Option<GlobList>,
    pub(crate) paths: Option<GlobList>,
    pub(crate) tags: Option<GlobList>,
}

/// An entry of `inputs`.
#[derive(Debug)]
pub(crate) struct Input {
    /// Where its name stands.
    pub(crate) span: Span,
    pub(crate) kind: InputType,
    /// Of the input's type.
    pub(crate) default: Option<Value>,
    pub(crate) required: bool,
}

/// What an input may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InputType {
    String,
    Boolean,
    Number,
    /// One of these.
    Choice(Vec<String>),
}
