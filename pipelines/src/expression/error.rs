use std::ops::Range;

use super::Mistake;

/// An expression that has no value: its parts do not fit together, or something it names is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{expression}`: {kind}")]
pub struct EvaluateError {
    /// The source of the expression.
    pub expression: String,
    /// The bytes of `expression` that are to blame.
    pub range: Range<usize>,
    /// What went wrong.
    pub kind: EvaluateErrorKind,
    /// How to mend it.
    pub help: Option<String>,
}

/// What went wrong when an expression was evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateErrorKind {
    /// A map has no such key, for example a step no such output.
    #[error("{0}")]
    MissingKey(String),
    /// A value of the wrong type.
    #[error("{found}, and {wanted}")]
    WrongType {
        /// What was found: `` `branch` is a string``.
        found: String,
        /// What would be right: `` `&&` wants true or false``.
        wanted: String,
    },
    /// An operator between values it is not made for.
    #[error("`{operator}` cannot take {left} and {right}")]
    WrongOperands {
        /// As it is written.
        operator: &'static str,
        /// The type on its left, with an article.
        left: &'static str,
        /// The type on its right, with an article.
        right: &'static str,
    },
    /// A text that cannot be converted, a number out of range.
    #[error("{value} cannot be made {wanted}")]
    Conversion {
        /// The value.
        value: String,
        /// The type, with an article.
        wanted: &'static str,
    },
    /// A whole number beyond 64 bits, or another number that is not finite.
    #[error("the result is out of range")]
    Overflow,
    /// A division by nought.
    #[error("division by zero")]
    DivisionByZero,
    /// An index a list does not have.
    #[error("the list has {length} elements, and none at {index}")]
    NoSuchElement {
        /// Elements of the list.
        length: usize,
        /// What was asked for.
        index: i64,
    },
    /// The same key twice in a map that is written out.
    #[error("the key {0:?} stands twice in the map")]
    DuplicateKey(String),
    /// A regular expression that cannot be read, or is too large.
    #[error("no regular expression: {0}")]
    Regex(String),
    /// More work than an expression may ask for.
    #[error("it asks for too much work")]
    TooMuchWork,
    /// A value is wanted, and something it depends on is not known yet.
    #[error("{0} is not known here")]
    Unknown(String),
}

/// An error before the expression is named.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) range: Range<usize>,
    pub(super) kind: EvaluateErrorKind,
    pub(super) help: Option<String>,
}

impl Failure {
    pub(super) fn new(range: &Range<usize>, kind: EvaluateErrorKind) -> Self {
        Self {
            range: range.clone(),
            kind,
            help: None,
        }
    }

    pub(super) fn in_expression(self, source: &str) -> EvaluateError {
        EvaluateError {
            expression: source.to_owned(),
            range: self.range,
            kind: self.kind,
            help: self.help,
        }
    }
}

impl From<Mistake> for Failure {
    /// Of a key that is not there.
    fn from(missing: Mistake) -> Self {
        Self {
            range: missing.range,
            kind: EvaluateErrorKind::MissingKey(missing.message),
            help: missing.help,
        }
    }
}
