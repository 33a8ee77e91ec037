//! The variables of the language.

use super::{Type, types};

/// A variable every expression may read.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: &'static str,
    /// Its type when nothing more is known about the pipeline.
    pub(super) default: fn() -> Type,
}

/// In the order of the reference.
pub(super) const VARIABLES: [Variable; 12] = [
    variable("event", text),
    variable("branch", text),
    variable("base", text),
    variable("tag", text),
    variable("commit", text),
    variable("repo", text),
    variable("matrix", anything),
    variable("env", texts),
    variable("inputs", anything),
    variable("needs", finished),
    variable("steps", finished),
    variable("job", types::job),
];

const fn variable(name: &'static str, default: fn() -> Type) -> Variable {
    Variable { name, default }
}

pub(super) fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
    VARIABLES.iter().map(|variable| variable.name)
}

const fn text() -> Type {
    Type::Text
}

fn texts() -> Type {
    Type::Map(Box::new(Type::Text))
}

fn anything() -> Type {
    Type::Map(Box::new(Type::Any))
}

fn finished() -> Type {
    Type::Map(Box::new(Type::finished()))
}
