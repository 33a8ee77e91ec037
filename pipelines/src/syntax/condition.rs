use std::rc::Rc;

use crate::{Span, expression::Expression, locate::Scalar};

/// The value of `if`.
#[derive(Debug, Clone)]
pub(crate) struct If {
    pub(crate) expression: Expression,
    pub(crate) span: Span,
    /// The scalar's own place and value, and where the expression starts in it.
    written: Span,
    value: Rc<str>,
    offset: usize,
}

impl If {
    pub(crate) const fn new(
        expression: Expression,
        span: Span,
        written: Span,
        value: Rc<str>,
        offset: usize,
    ) -> Self {
        Self {
            expression,
            span,
            written,
            value,
            offset,
        }
    }

    pub(crate) fn scalar(&self) -> Scalar<'_> {
        Scalar {
            value: &self.value,
            span: self.written,
        }
    }

    /// Where the expression starts in the scalar, bytes.
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }
}
