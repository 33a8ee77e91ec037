use serde::Serialize;

use crate::{Code, Diagnostic, Position, Severity, Source};

/// A diagnostic that can leave the process: places are lines and columns, and the file's name is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Located {
    /// Its kind, as the stable text.
    pub code: Code,
    /// `error` or `warning`.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// A few words that belong beside the marked text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The name of the file it is in.
    pub file: String,
    /// The first character that is meant.
    pub start: Position,
    /// Behind the last character that is meant.
    pub end: Position,
    /// Other places that belong to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<LocatedRelated>,
}

/// Another place that belongs to a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocatedRelated {
    /// What it has to do with the mistake; may be empty.
    pub message: String,
    /// The name of the file it is in.
    pub file: String,
    /// The first character that is meant.
    pub start: Position,
    /// Behind the last character that is meant.
    pub end: Position,
}

/// Diagnostics of a source as data, all of them, in their order.
#[must_use]
pub fn machine(source: &Source, diagnostics: &[Diagnostic]) -> Vec<Located> {
    diagnostics
        .iter()
        .map(|diagnostic| locate(source, diagnostic))
        .collect()
}

fn locate(source: &Source, diagnostic: &Diagnostic) -> Located {
    let related = diagnostic.related.iter().map(|related| LocatedRelated {
        message: related.message.clone(),
        file: source.name_at(related.span.start).to_owned(),
        start: source.position(related.span.start),
        end: source.position(related.span.end),
    });
    Located {
        code: diagnostic.code,
        severity: diagnostic.severity,
        message: diagnostic.message.clone(),
        label: diagnostic.label.clone(),
        help: diagnostic.help.clone(),
        file: source.name_at(diagnostic.span.start).to_owned(),
        start: source.position(diagnostic.span.start),
        end: source.position(diagnostic.span.end),
        related: related.collect(),
    }
}
