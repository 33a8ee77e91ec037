//! What is known about values before they are.

use indexmap::IndexMap;

use super::Value;

/// The type of a value, as far as it is known before a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Type {
    /// It can be anything.
    #[default]
    Any,
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A whole number.
    Int,
    /// Any other number.
    Float,
    /// A string.
    Text,
    /// A list whose elements are of a type.
    List(Box<Self>),
    /// A map with any keys, whose values are of a type.
    Map(Box<Self>),
    /// A map whose keys are all known. Another key is a mistake.
    Record(IndexMap<String, Self>),
}

/// What is known about the variables at a place of a pipeline: the axes of its matrix, the steps before it.
pub trait Types {
    /// The type of a variable. `None` when there is nothing to say beyond what the language says.
    fn variable(&self, name: &str) -> Option<&Type>;
}

/// Knows nothing: every name below `matrix`, `steps`, .. can be there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Untyped;

impl Types for Untyped {
    fn variable(&self, _: &str) -> Option<&Type> {
        None
    }
}

impl Type {
    /// The type of a value.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Int(_) => Self::Int,
            Value::Float(_) => Self::Float,
            Value::Text(_) => Self::Text,
            Value::List(items) => {
                let element = items.iter().map(Self::of).reduce(Self::join);
                Self::List(Box::new(element.unwrap_or_default()))
            }
            Value::Map(entries) => Self::Record(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::of(value)))
                    .collect(),
            ),
        }
    }

    /// What `steps.NAME` and `needs.JOB` are: `outputs` (strings, any key) and `conclusion`.
    #[must_use]
    pub fn finished() -> Self {
        Self::record([
            ("outputs", Self::Map(Box::new(Self::Text))),
            ("conclusion", Self::Text),
        ])
    }

    /// A map whose keys are all known.
    #[must_use]
    pub fn record<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        let entries = entries.into_iter();
        Self::Record(entries.map(|(key, value)| (key.into(), value)).collect())
    }

    /// The type of something that is of this type or of another: what the values of an axis have in common.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::List(one), Self::List(other)) => Self::List(Box::new(one.join(*other))),
            (Self::Map(one), Self::Map(other)) => Self::Map(Box::new(one.join(*other))),
            (one @ (Self::Map(_) | Self::Record(_)), other @ (Self::Map(_) | Self::Record(_))) => {
                Self::Map(Box::new(one.element().join(other.element())))
            }
            _ => Self::Any,
        }
    }

    /// What the values in a list or a map have in common.
    pub(super) fn element(self) -> Self {
        match self {
            Self::List(element) | Self::Map(element) => *element,
            Self::Record(entries) => entries.into_values().reduce(Self::join).unwrap_or_default(),
            _ => Self::Any,
        }
    }

    pub(super) const fn is_map(&self) -> bool {
        matches!(self, Self::Map(_) | Self::Record(_))
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }

    /// For messages: `a string`.
    pub(super) const fn described(&self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Text => "a string",
            Self::List(_) => "a list",
            Self::Map(_) | Self::Record(_) => "a map",
        }
    }
}

/// What `job` is.
pub(super) fn job() -> Type {
    Type::record([("id", Type::Text), ("status", Type::Text)])
}
