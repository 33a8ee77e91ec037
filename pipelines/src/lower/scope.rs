//! What is known while a pipeline is compiled.

use crate::{
    Context,
    expression::{Known, Status, Value, Values},
    glob::GlobList,
};

/// The event, the inputs, and in a job's texts its matrix.
#[derive(Debug, Clone)]
pub(super) struct Scope<'c> {
    context: Option<&'c Context>,
    inputs: Option<&'c Value>,
    /// Empty outside of a matrix.
    matrix: Value,
}

impl<'c> Scope<'c> {
    pub(super) fn new(context: Option<&'c Context>, inputs: Option<&'c Value>) -> Self {
        Self {
            context,
            inputs,
            matrix: Value::Map(indexmap::IndexMap::new()),
        }
    }

    /// The same in a cell of a matrix.
    pub(super) fn in_cell(&self, matrix: Value) -> Self {
        Self {
            matrix,
            ..self.clone()
        }
    }
}

impl Values for Scope<'_> {
    fn variable(&self, name: &str) -> Known<'_> {
        if name == "matrix" {
            return Known::Borrowed(&self.matrix);
        }
        let Some(context) = self.context else {
            return Known::Unknown;
        };
        let text = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default();
            Known::Value(Value::from(text))
        };
        match name {
            "event" => Known::Value(Value::from(context.event.as_str())),
            "branch" => text(&context.branch),
            "base" => text(&context.base),
            "tag" => text(&context.tag),
            "commit" => text(&context.commit),
            "repo" => text(&context.repo),
            "inputs" => self.inputs.map_or(Known::Unknown, Known::Borrowed),
            _ => Known::Unknown,
        }
    }

    fn status(&self, _: Status) -> Option<bool> {
        None
    }

    fn changed(&self, globs: &[String]) -> Option<bool> {
        let changed = self.context?.changed.as_ref()?;
        let globs = GlobList::parse(globs).ok()?;
        Some(changed.iter().any(|path| globs.matches(path)))
    }

    fn hash_files(&self, globs: &[String]) -> Option<String> {
        self.context?.tree.as_ref()?.hash(globs)
    }
}
