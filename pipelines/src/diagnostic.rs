//! What a user did wrong, where, and what to do about it.
//!
//! Neighbours: every room adds to a [`Diagnostics`]; `render` shows the result. Codes are stable: people search for them
//! and tools switch them off.

use serde::Serialize;

use crate::{limits, source::Span};

/// Declares [`Code`] and what belongs to each code, so that neither can be forgotten.
macro_rules! codes {
    ($($(#[$attribute:meta])* $variant:ident = $text:literal, $severity:ident, $summary:literal;)*) => {
        /// The kind of a diagnostic; its text is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $(#[doc = $summary] $variant,)* }

        impl Code {
            /// Every code, sorted by its text.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code as it is shown, for example `unknown-key`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Whether a diagnostic of this kind prevents a plan.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// One sentence for a table of all codes.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }
        }
    };
}

codes! {
    BadDuration = "bad-duration", Error, "A duration is not a sequence of numbers with units, or out of range.";
    BadEnvName = "bad-env-name", Error, "A name under `env` is not made of letters, digits and `_`, or starts with a digit.";
    BadImage = "bad-image", Error, "An image reference is empty or contains white space or control characters.";
    BadJobId = "bad-job-id", Error, "A key under `jobs` is not made of `a-z`, `0-9`, `_` and `-`, or is too long.";
    BadName = "bad-name", Error, "A name is empty, too long or contains control characters.";
    BadShell = "bad-shell", Error, "A shell is empty, or a command line where a program or a list is expected.";
    BadText = "bad-text", Error, "A text contains a NUL character.";
    BadUser = "bad-user", Error, "A user is not of the form `user` or `user:group`.";
    BadWorkdir = "bad-workdir", Error, "A working directory is empty.";
    ByteOrderMark = "byte-order-mark", Warning, "The file starts with a byte order mark, which is ignored.";
    ControlCharacter = "control-character", Error, "The file contains a character that YAML does not allow.";
    Cycle = "cycle", Error, "Jobs need each other in a circle.";
    DuplicateKey = "duplicate-key", Error, "A mapping has a key twice.";
    DuplicateNeed = "duplicate-need", Warning, "A job is listed twice in the same `needs`.";
    DuplicateStep = "duplicate-step", Error, "Two steps of a job have the same `name`.";
    EmptyFile = "empty-file", Error, "The file holds nothing but white space and comments.";
    EmptyRun = "empty-run", Error, "A `run` has no command.";
    FileTooLarge = "file-too-large", Error, "The file is larger than 1 MiB.";
    JobsAndSteps = "jobs-and-steps", Error, "A pipeline has both `jobs` and top-level `steps`.";
    MissingImage = "missing-image", Error, "Neither step, job nor pipeline names an image.";
    MissingRun = "missing-run", Error, "A step has neither `run` nor an `image` of its own.";
    MultipleDocuments = "multiple-documents", Error, "The file holds more than one YAML document.";
    NoJobs = "no-jobs", Error, "The pipeline has no jobs.";
    NoSteps = "no-steps", Error, "The pipeline or a job has no steps.";
    NotUtf8 = "not-utf8", Error, "The file is not encoded as UTF-8.";
    NotYet = "not-yet", Error, "A part of the language that this version cannot carry out.";
    SelfNeed = "self-need", Error, "A job needs itself.";
    TooComplex = "too-complex", Error, "Nesting, aliases or the resulting plan exceed a limit.";
    TooManyJobs = "too-many-jobs", Error, "A pipeline has more than 1,024 jobs.";
    TooManySteps = "too-many-steps", Error, "A job has more than 1,024 steps.";
    UnknownKey = "unknown-key", Error, "A key that does not exist at this place.";
    UnknownNeed = "unknown-need", Error, "A job needs a job that does not exist.";
    UnknownTag = "unknown-tag", Error, "A YAML tag that is not in the core schema, or does not fit its value.";
    UnusedKey = "unused-key", Warning, "A key that has no effect where it stands.";
    WrongType = "wrong-type", Error, "A value of the wrong type.";
    YamlSyntax = "yaml-syntax", Error, "The file is not valid YAML.";
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How much a diagnostic weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// There is no plan.
    Error,
    /// There is a plan, but probably not the intended one.
    Warning,
}

/// One mistake. Messages are one line each, without a full stop; texts from the file in them are shortened and quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Its kind.
    pub code: Code,
    /// How much it weighs.
    pub severity: Severity,
    /// Where it is.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// A few words beside the carets.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that belong to it.
    pub related: Vec<Related>,
}

/// Another place that belongs to a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Where it is.
    pub span: Span,
    /// What it has to do with the mistake.
    pub message: String,
}

impl Diagnostic {
    pub(crate) fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code,
            severity: code.severity(),
            span,
            message,
            label: None,
            help: None,
            related: Vec::new(),
        }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn related(mut self, span: Span, message: impl Into<String>) -> Self {
        self.related.push(Related {
            span,
            message: message.into(),
        });
        self
    }
}

/// Collects the diagnostics of one compilation, a bounded number of them.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    list: Vec<Diagnostic>,
    error_seen: bool,
}

impl Diagnostics {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.error_seen |= diagnostic.severity == Severity::Error;
        if self.list.len() < limits::DIAGNOSTICS_KEPT {
            self.list.push(diagnostic);
        }
    }

    /// Whether a suggestion is still worth its time.
    pub(crate) const fn wants_suggestions(&self) -> bool {
        self.list.len() < limits::SUGGESTIONS
    }

    /// Whether a plan can no longer come out of this.
    pub(crate) const fn has_errors(&self) -> bool {
        self.error_seen
    }

    /// Sorted by place; what an alias made the compiler see several times stands there once.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list
            .sort_by(|a, b| (a.span, a.code, &a.message).cmp(&(b.span, b.code, &b.message)));
        self.list.dedup();
        self.list
    }
}

/// A text of the file as a message quotes it: on one line, shortened, in backticks.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 48;
    let mut shown = String::from("`");
    for (index, character) in text.chars().enumerate() {
        if index == SHOWN {
            shown.push('…');
            break;
        }
        push_printable(&mut shown, character);
    }
    shown.push('`');
    shown
}

/// A text from outside that can stand in a terminal: what would act on it is escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars()
        .for_each(|character| push_printable(&mut shown, character));
    shown
}

fn push_printable(shown: &mut String, character: char) {
    if is_invisible(character) {
        shown.extend(character.escape_unicode());
    } else if character.is_control() {
        shown.extend(character.escape_default());
    } else {
        shown.push(character);
    }
}

/// Characters that have no shape of their own and can make a message read as something else.
const fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_unique_and_in_kebab_case() {
        assert!(
            Code::ALL
                .windows(2)
                .all(|pair| pair[0].as_str() < pair[1].as_str())
        );
        assert!(Code::ALL.iter().all(|code| {
            code.as_str()
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'-' || b == b'8')
        }));
    }

    #[test]
    fn the_reference_lists_every_code() {
        let rows: Vec<String> = Code::ALL
            .iter()
            .map(|code| {
                let severity = if code.severity() == Severity::Error {
                    "error"
                } else {
                    "warning"
                };
                format!("| `{}` | {severity} | {} |", code.as_str(), code.summary())
            })
            .collect();
        let page = include_str!("../../docs/pipeline.md");
        let table: Vec<&str> = page
            .lines()
            .skip_while(|line| *line != "## Diagnostics")
            .filter(|l| l.starts_with("| `"))
            .collect();
        assert_eq!(table, rows);
    }

    #[test]
    fn an_error_counts_even_when_it_is_not_kept() {
        let mut diagnostics = Diagnostics::default();
        for at in 0..limits::DIAGNOSTICS_KEPT {
            diagnostics.push(Diagnostic::new(Code::DuplicateNeed, Span::new(at, at), "x"));
        }
        assert!(!diagnostics.has_errors());
        diagnostics.push(Diagnostic::new(Code::Cycle, Span::new(0, 0), "x"));
        assert!(diagnostics.has_errors());
        assert_eq!(diagnostics.into_sorted().len(), limits::DIAGNOSTICS_KEPT);
    }

    #[test]
    fn quoted_text_stays_on_one_line_and_short() {
        assert_eq!(quoted("a\nb"), "`a\\nb`");
        assert_eq!(quoted("a\u{202e}b"), "`a\\u{202e}b`");
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), 51);
    }
}
