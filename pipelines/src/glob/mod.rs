//! Globs over paths, branches and tags: `on` filters, `changed(..)`, `hash_files(..)`.
//!
//! A glob speaks of the whole path, from the root of the repo, with `/` between names:
//!
//! | written | matches |
//! |---|---|
//! | `*` | any characters of one name, also none |
//! | `**/` at the start of a name | any number of directories, also none |
//! | `/**` at the end | everything below |
//! | `?` | one character, not `/` |
//! | `[a-z]`, `[!a-z]` | one character of a set, or outside it, never `/` |
//! | `\*` | the character itself |
//!
//! In a list the last glob that matches decides, and one behind a `!` excludes. A list that begins with an exclusion
//! means everything else. Matching takes time in proportion to the length of the path times the length of the glob,
//! whatever the two are.

mod list;
mod matcher;
mod parse;
#[cfg(test)]
mod tests;

pub use list::GlobList;

use crate::expression::Mistake;

/// One glob, with the `!` that may stand before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    written: String,
    excludes: bool,
    parts: Vec<Part>,
}

/// What a piece of a path is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Character(char),
    /// `?`
    Any,
    /// `[a-z]`: pairs of first and last character.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `*`
    Name,
    /// `**/`
    Directories,
    /// `**` at the end.
    Below,
}

impl Glob {
    /// Reads a glob.
    ///
    /// # Errors
    ///
    /// When it is empty, too long, or could never match: an open `[`, a `**` inside a name, `{a,b}`, a leading `/`.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let (excludes, parts) = parse::parse(text)?;
        Ok(Self {
            written: text.to_owned(),
            excludes,
            parts,
        })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether a `!` stands before it.
    #[must_use]
    pub const fn excludes(&self) -> bool {
        self.excludes
    }

    /// Whether it matches a path; the `!` before it makes no difference.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        matcher::matches(&self.parts, path)
    }
}
