use std::ops::Range;

use super::Part;
use crate::{expression::Mistake, limits};

/// Whether it excludes, and its parts.
pub(super) fn parse(text: &str) -> Result<(bool, Vec<Part>), Mistake> {
    let whole = |message: &str| Mistake::new(0..text.len(), message);
    if text.len() > limits::GLOB_BYTES {
        let message = format!("a glob of more than {} bytes", limits::GLOB_BYTES);
        return Err(whole(&message));
    }
    let (excludes, glob) = match text.strip_prefix('!') {
        Some(glob) => (true, glob),
        None => (false, text),
    };
    let first = text.len() - glob.len();
    if glob.is_empty() {
        return Err(whole("an empty glob").help("`**` matches everything"));
    }
    if glob.starts_with('/') || glob.starts_with("./") {
        let length = glob.find('/').map_or(0, |slash| slash + 1);
        let message = "a path starts at the root of the repo";
        return Err(Mistake::new(first..first + length, message)
            .help(format!("leave `{}` out", &glob[..length])));
    }
    if let Some(directory) = text.strip_suffix('/') {
        let message = "no path ends with `/`, so nothing would match";
        return Err(Mistake::new(text.len() - 1..text.len(), message)
            .help(format!("`{directory}/**` is everything below it")));
    }
    let mut parser = Parser { text, at: first };
    let mut parts = Vec::new();
    while let Some(part) = parser.part(parts.last())? {
        parts.push(part);
    }
    Ok((excludes, parts))
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    fn part(&mut self, before: Option<&Part>) -> Result<Option<Part>, Mistake> {
        let start = self.at;
        let Some(character) = self.next() else {
            return Ok(None);
        };
        Ok(Some(match character {
            '*' if self.rest().starts_with('*') => self.stars(start, before)?,
            '*' => Part::Name,
            '?' => Part::Any,
            '[' => self.class(start)?,
            '\\' => match self.next() {
                Some(character) => Part::Character(character),
                None => {
                    let message = "a backslash with nothing behind it";
                    return Err(self.mistake(start, message));
                }
            },
            '{' => {
                let message = "globs know no `{..}`";
                let help = "write one glob for each; `\\{` is the character";
                return Err(self.mistake(start, message).help(help));
            }
            character => Part::Character(character),
        }))
    }

    /// `**` takes the place of whole names.
    fn stars(&mut self, start: usize, before: Option<&Part>) -> Result<Part, Mistake> {
        self.next();
        let starts_name = matches!(
            before,
            None | Some(Part::Character('/') | Part::Directories)
        );
        match self.rest().chars().next() {
            None if starts_name => Ok(Part::Below),
            Some('/') if starts_name => {
                self.next();
                Ok(Part::Directories)
            }
            _ => {
                let message = "`**` stands for whole directories";
                let help = "write `dir/**`, `**/name` or `a/**/b`; inside a name `*` is enough";
                Err(self.mistake(start, message).help(help))
            }
        }
    }

    fn class(&mut self, start: usize) -> Result<Part, Mistake> {
        let negated = self.rest().starts_with(['!', '^']);
        if negated {
            self.next();
        }
        let mut ranges = Vec::new();
        loop {
            // A bracket in the first place is a member of the set.
            if !ranges.is_empty() && self.rest().starts_with(']') {
                self.next();
                return Ok(Part::Class { negated, ranges });
            }
            let from = self.at;
            let first = self.member(start)?;
            let dash = self.rest().starts_with('-') && !self.rest().starts_with("-]");
            let last = if dash {
                self.next();
                self.member(start)?
            } else {
                first
            };
            if first > last {
                let message = "a range that is the wrong way round";
                return Err(Mistake::new(from..self.at, message));
            }
            ranges.push((first, last));
        }
    }

    fn member(&mut self, start: usize) -> Result<char, Mistake> {
        let character = match self.next() {
            Some('\\') => self.next(),
            character => character,
        };
        character.ok_or_else(|| {
            self.mistake(start, "an open `[`")
                .help("close it with `]`; `\\[` is the character")
        })
    }

    fn mistake(&self, start: usize, message: &str) -> Mistake {
        let range: Range<usize> = start..self.at;
        Mistake::new(range, message)
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest().chars().next()?;
        self.at += character.len_utf8();
        Some(character)
    }
}
