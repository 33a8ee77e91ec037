use std::num::NonZeroUsize;

use indexmap::IndexMap;

use crate::{Span, expression::Value};

/// `matrix`: a job for every combination of values.
#[derive(Debug)]
pub(crate) struct Matrix {
    /// Where the key stands.
    pub(crate) span: Span,
    /// Values by axis, in the order of the file; never empty lists.
    pub(crate) axes: IndexMap<String, Vec<Value>>,
    /// Combinations that are taken out: those that have all of these values.
    pub(crate) exclude: Vec<IndexMap<String, Value>>,
    pub(crate) include: Vec<Include>,
    pub(crate) fail_fast: bool,
    pub(crate) max_parallel: Option<NonZeroUsize>,
}

/// An entry of `include`: more values for the cells that have its values of axes, or a cell of its own.
#[derive(Debug)]
pub(crate) struct Include {
    pub(crate) values: IndexMap<String, Value>,
    pub(crate) allow_failure: Option<bool>,
}
