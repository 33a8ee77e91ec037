use std::ops::Range;

/// What is wrong with a text somebody wrote: an expression, a template, a glob.
///
/// The caller knows where in the file the text stands and makes a diagnostic of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    /// Bytes in the text that was handed in, at character boundaries; empty at a place where something is missing.
    pub range: Range<usize>,
    /// One line, no full stop.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
}

impl Mistake {
    pub(crate) fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            range,
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With "did you mean", when a suggestion is there.
    pub(crate) fn suggest(mut self, suggestion: Option<&str>) -> Self {
        if let Some(word) = suggestion {
            self.help = Some(format!("did you mean `{word}`?"));
        }
        self
    }

    /// The same mistake in a text in which this one starts at an offset.
    pub(crate) fn shifted(mut self, offset: usize) -> Self {
        self.range = self.range.start + offset..self.range.end + offset;
        self
    }
}
