//! Colours, or none.

use std::fmt::{self, Display};

/// Whether and how words are emphasised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text only: a pipe, a file, `NO_COLOR`.
    Plain,
    /// ANSI colours.
    Colour,
}

/// What a word means; decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Heading,
    Good,
    Bad,
    Warning,
    Quiet,
}

impl Style {
    /// `text` in the colour of `tone`.
    pub(super) fn paint<T: Display>(self, tone: Tone, text: T) -> impl Display {
        Painted {
            text,
            code: match (self, tone) {
                (Self::Plain, _) => None,
                (Self::Colour, Tone::Heading) => Some("1;36"),
                (Self::Colour, Tone::Good) => Some("32"),
                (Self::Colour, Tone::Bad) => Some("1;31"),
                (Self::Colour, Tone::Warning) => Some("33"),
                (Self::Colour, Tone::Quiet) => Some("2"),
            },
        }
    }
}

struct Painted<T> {
    text: T,
    code: Option<&'static str>,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "\x1b[{code}m{}\x1b[0m", self.text),
            None => self.text.fmt(f),
        }
    }
}
