//! What values look like from outside: as much of a type as a JSON Schema can say.

use super::{keys::Vocabulary, value::Field};
use crate::diagnostic::Diagnostics;

/// A type of values: how one is read, and what is told about it. Both stand side by side, so that who changes one sees the
/// other; `schema::tests` holds them together with values of every kind.
pub(super) struct Type<V: 'static> {
    /// What the reference calls it, in Markdown.
    pub(super) words: &'static str,
    pub(super) shape: Shape,
    pub(super) read: fn(Field<'_>, &mut Diagnostics) -> V,
}

/// What a value may look like. Patterns are those of ECMA-262, as far as Rust's `regex` reads them alike.
pub(crate) enum Shape {
    /// Nothing: `key:` or `null`.
    Nothing,
    /// `true` or `false`.
    Boolean,
    /// A number above 0.
    Number { most: u64 },
    /// A whole number from 1 to this, also as text.
    Count(u64),
    /// Any scalar but nothing; expressions may stand in it.
    Text,
    /// The same, and it matches a pattern unless expressions stand in it.
    TextLike(&'static str),
    /// Any scalar but nothing, without expressions.
    Literal,
    /// The same, and what is a string matches a pattern.
    LiteralLike(&'static str),
    /// The same of letters, digits and `_`, no digit first, which no number is.
    Identifier,
    /// A string that matches a pattern.
    StringLike(&'static str),
    /// An expression, or `true` or `false`.
    Condition,
    /// One of these strings.
    Word(&'static [&'static str]),
    /// A list of `least` to `most` of these.
    List {
        of: &'static Self,
        least: usize,
        most: Option<usize>,
    },
    /// A program and its arguments, which may hold expressions.
    Arguments,
    /// A mapping whose keys are free to choose, as far as they match a pattern.
    Map {
        names: Option<&'static str>,
        of: &'static Self,
        least: usize,
        most: Option<usize>,
    },
    /// A mapping with keys of the language.
    Keys(&'static dyn Vocabulary),
    /// One of these.
    Either(&'static [Self]),
}

impl Shape {
    /// A list of any length.
    pub(super) const fn list(of: &'static Self) -> Self {
        Self::List {
            of,
            least: 0,
            most: None,
        }
    }

    /// A mapping with any keys.
    pub(super) const fn map(of: &'static Self) -> Self {
        Self::Map {
            names: None,
            of,
            least: 0,
            most: None,
        }
    }
}
