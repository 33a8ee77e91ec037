use std::rc::Rc;

use crate::{Span, expression::Template, locate::Scalar};

/// A value and the place it was read from.
#[derive(Debug, Clone)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> Spanned<T> {
    pub(crate) const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A text that may hold expressions, with what it takes to point into it.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) template: Template,
    /// Where messages about the whole of it point.
    pub(crate) span: Span,
    /// The scalar's own place and value.
    written: Span,
    value: Rc<str>,
}

impl Text {
    pub(crate) const fn new(template: Template, span: Span, written: Span, value: Rc<str>) -> Self {
        Self {
            template,
            span,
            written,
            value,
        }
    }

    /// One that did not come from the file.
    pub(crate) fn given(text: &str, span: Span) -> Self {
        Self::new(Template::literal(text), span, span, Rc::from(text))
    }

    pub(crate) fn scalar(&self) -> Scalar<'_> {
        Scalar {
            value: &self.value,
            span: self.written,
        }
    }

    /// Bytes of text in it.
    pub(crate) fn len(&self) -> usize {
        self.value.len()
    }

    /// As it is written.
    pub(crate) fn as_str(&self) -> &str {
        &self.value
    }
}
