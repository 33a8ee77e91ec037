//! Where something stands in a Dockerfile, and what is wrong there.

use std::fmt;

/// A place in a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in bytes.
    pub column: usize,
}

impl Place {
    /// Of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A mistake in a Dockerfile, or what became of an instruction of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong; begins in lower case.
    pub message: String,
    /// What would be right, where that is known.
    pub help: Option<String>,
}

impl Problem {
    /// One without advice.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            help: None,
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// As people are shown it, with the line of the file.
    ///
    /// ```text
    /// error: there is no instruction `RUNN`
    ///   --> Dockerfile:7:1
    ///    |
    ///  7 | RUNN make
    ///    | ^^^^
    ///    = help: did you mean `RUN`?
    /// ```
    #[must_use]
    pub fn render(&self, file: &str, text: &str) -> String {
        let Place { line, column } = self.place;
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        let mut out = format!(
            "error: {}\n{gutter} --> {}:{}\n",
            shown(&self.message),
            shown(file),
            self.place
        );
        if let Some(content) = text.lines().nth(line - 1) {
            let begin = column.saturating_sub(1);
            let before = content.get(..begin).unwrap_or("");
            let word = content
                .get(begin..)
                .and_then(|rest| rest.split_whitespace().next())
                .unwrap_or("");
            let content: String = content.chars().take(WIDEST).collect();
            let before = before.chars().count().min(WIDEST);
            let width = word.chars().count().clamp(1, WIDEST + 1 - before);
            out.push_str(&format!(
                "{gutter}  |\n{number}  | {}\n{gutter}  | {}{}\n",
                shown(&content),
                " ".repeat(before),
                "^".repeat(width)
            ));
        }
        if let Some(help) = &self.help {
            out.push_str(&format!("{gutter}  = help: {}\n", shown(help)));
        }
        out
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, shown(&self.message))
    }
}

/// Of a line that is shown, characters.
const WIDEST: usize = 160;

/// What a terminal would take for orders is shown as a blank: the file is a stranger's.
fn shown(text: &str) -> String {
    let fit = |c: char| {
        if c.is_control() && c != '\n' { ' ' } else { c }
    };
    text.chars().map(fit).collect()
}
