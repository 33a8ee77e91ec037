//! What a user did wrong, where, and what to do about it.
//!
//! Neighbours: every room adds to a [`Diagnostics`]; `render` shows the result. Codes are stable: people search for them
//! and tools switch them off.

use serde::Serialize;

use crate::{expression::Mistake, limits, locate::Scalar, source::Span};

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
    BadBuild = "bad-build", Error, "A directory, a Dockerfile or a stage to build is named wrongly, or leads out of the workspace.";
    BadCache = "bad-cache", Error, "A key of a cache cannot be one, or a path leads out of what can be kept.";
    BadCron = "bad-cron", Error, "A schedule is not five fields of cron.";
    BadDuration = "bad-duration", Error, "A duration is not a sequence of numbers with units, or out of range.";
    BadEnvName = "bad-env-name", Error, "A name under `env` is not made of letters, digits and `_`, or starts with a digit.";
    BadExpression = "bad-expression", Error, "An expression cannot be read, names something unknown, or has the wrong type.";
    BadGlob = "bad-glob", Error, "A pattern of file or branch names cannot be read.";
    BadImage = "bad-image", Error, "An image reference is empty or contains white space or control characters.";
    BadInclude = "bad-include", Error, "A file to include is named wrongly, not pinned, or cannot be read.";
    BadInput = "bad-input", Error, "An input was given that the pipeline does not declare or allow, or one is missing.";
    BadJobId = "bad-job-id", Error, "A key under `jobs` is not made of `a-z`, `0-9`, `_` and `-`, or is too long.";
    BadMatrix = "bad-matrix", Error, "A matrix has no cells, too many, or values that are no scalars.";
    BadName = "bad-name", Error, "A name is empty, too long or contains control characters.";
    BadNetwork = "bad-network", Error, "A network is none of `default`, `none`, `host` and `{ allow: [..] }`.";
    BadNumber = "bad-number", Error, "A number is not one, or out of range.";
    BadRegex = "bad-regex", Error, "A regular expression cannot be read.";
    BadRetry = "bad-retry", Error, "A cause in `retry` is none that exists.";
    BadSecret = "bad-secret", Error, "The name of a secret cannot be that of an environment variable.";
    BadShell = "bad-shell", Error, "A shell is empty, or a command line where a program or a list is expected.";
    BadSize = "bad-size", Error, "A size is not a number with a unit, or out of range.";
    BadTarget = "bad-target", Error, "An entry of `allow` is no host, address or range.";
    BadText = "bad-text", Error, "A text contains a NUL character.";
    BadUser = "bad-user", Error, "A user is not of the form `user` or `user:group`.";
    BadWorkdir = "bad-workdir", Error, "A working directory is empty.";
    ByteOrderMark = "byte-order-mark", Warning, "The file starts with a byte order mark, which is ignored.";
    ControlCharacter = "control-character", Error, "The file contains a character that YAML does not allow.";
    Cycle = "cycle", Error, "Jobs or steps need each other in a circle.";
    DuplicateKey = "duplicate-key", Error, "A mapping has a key twice.";
    DuplicateNeed = "duplicate-need", Warning, "A job or a step is listed twice in the same `needs`.";
    DuplicateStep = "duplicate-step", Error, "Two steps of a job have the same `name`.";
    EmptyFile = "empty-file", Error, "The file holds nothing but white space and comments.";
    EmptyRun = "empty-run", Error, "A `run` has no command.";
    FileTooLarge = "file-too-large", Error, "The file is larger than 1 MiB.";
    IncludeCycle = "include-cycle", Error, "Files include each other in a circle.";
    JobsAndSteps = "jobs-and-steps", Error, "A pipeline has both `jobs` and top-level `steps`.";
    MissingImage = "missing-image", Error, "Neither step, job nor pipeline names an image.";
    MissingKey = "missing-key", Error, "A mapping lacks a key that it needs.";
    MissingRun = "missing-run", Error, "A step has neither `run` nor an `image` of its own.";
    MultipleDocuments = "multiple-documents", Error, "The file holds more than one YAML document.";
    NoExpression = "no-expression", Error, "An expression stands where none can be evaluated.";
    NoJobs = "no-jobs", Error, "The pipeline has no jobs.";
    NoSteps = "no-steps", Error, "The pipeline or a job has no steps.";
    NotUtf8 = "not-utf8", Error, "The file is not encoded as UTF-8.";
    NotYet = "not-yet", Error, "A part of the language that this version cannot carry out; a warning where nothing is to run.";
    SelfNeed = "self-need", Error, "A job or a step needs itself.";
    TemplateInjection = "template-injection", Warning, "A script contains a value that somebody else chooses.";
    TooComplex = "too-complex", Error, "Nesting, aliases or the resulting plan exceed a limit.";
    TooManyJobs = "too-many-jobs", Error, "A pipeline has more than 1,024 jobs.";
    TooManySteps = "too-many-steps", Error, "A job has more than 1,024 steps.";
    UnknownKey = "unknown-key", Error, "A key that does not exist at this place.";
    UnknownNeed = "unknown-need", Error, "A job or a step needs one that does not exist.";
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
pub(crate) struct Diagnostics<'s> {
    /// What every span points into.
    text: &'s str,
    list: Vec<Diagnostic>,
    error_seen: bool,
    /// How much a key that cannot be carried out yet weighs.
    not_yet: Option<Severity>,
}

impl<'s> Diagnostics<'s> {
    /// Those of a text. `not_yet` is how much a key weighs that this version cannot carry out.
    pub(crate) const fn about(text: &'s str, not_yet: Severity) -> Self {
        Self {
            text,
            list: Vec::new(),
            error_seen: false,
            not_yet: Some(not_yet),
        }
    }

    /// What every span points into.
    pub(crate) const fn text(&self) -> &'s str {
        self.text
    }

    /// Adds the mistakes of an expression or a template, which were found in the value of a scalar.
    pub(crate) fn push_mistakes(
        &mut self,
        code: Code,
        scalar: Scalar<'_>,
        mistakes: impl IntoIterator<Item = Mistake>,
    ) {
        for mistake in mistakes.into_iter().take(limits::MISTAKES) {
            let span = scalar.locate(self.text, mistake.range);
            let diagnostic = Diagnostic::new(code, span, mistake.message);
            self.push(match mistake.help {
                Some(help) => diagnostic.help(help),
                None => diagnostic,
            });
        }
    }

    pub(crate) fn push(&mut self, mut diagnostic: Diagnostic) {
        if let (Code::NotYet, Some(severity)) = (diagnostic.code, self.not_yet) {
            diagnostic.severity = severity;
        }
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
