//! Logical lines: what is left of the file when directives, comments and continuations are understood.
//!
//! A continuation is the escape character at a line's end, blanks behind it, no other escape character before it. Comments and
//! empty lines in between are left out. `# escape=` and its like count only above everything else, each once.

use super::Problem;
use super::place::Place;

/// A physical line with its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Physical<'a> {
    pub(super) text: &'a str,
    /// From 1.
    pub(super) number: usize,
}

/// The physical lines of a file, one after the other.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    rest: &'a str,
    number: usize,
    directives: Directives,
}

/// What stands above everything else.
#[derive(Debug)]
struct Directives {
    escape: char,
    seen: Vec<String>,
    is_over: bool,
}

/// A logical line.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Without continuations and comments.
    pub(super) text: String,
    /// Where pieces of it begin, and where those stand in the file.
    pieces: Vec<(usize, Place)>,
}

impl Line {
    /// Where a byte of it stands.
    pub(super) fn place(&self, offset: usize) -> Place {
        let piece = self.pieces.iter().rev().find(|(begin, _)| *begin <= offset);
        piece.map_or(Place::START, |(begin, place)| Place {
            line: place.line,
            column: place.column + (offset - begin),
        })
    }

    fn push(&mut self, text: &str, place: Place) {
        if !text.is_empty() {
            self.pieces.push((self.text.len(), place));
            self.text.push_str(text);
        }
    }
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            number: 0,
            directives: Directives {
                escape: '\\',
                seen: Vec::new(),
                is_over: false,
            },
        }
    }

    pub(super) const fn escape(&self) -> char {
        self.directives.escape
    }

    /// The next physical line, as it is.
    pub(super) fn physical(&mut self) -> Option<Physical<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.number += 1;
        Some(Physical {
            text,
            number: self.number,
        })
    }

    /// The next logical line that says something.
    pub(super) fn logical(&mut self) -> Result<Option<Line>, Problem> {
        while let Some(physical) = self.physical() {
            let trimmed = physical.text.trim_end_matches(['\r', '\n']);
            let stripped = trimmed.trim_start();
            self.directives.look(stripped, physical.number)?;
            if stripped.starts_with('#') {
                continue;
            }
            let mut line = Line::default();
            let (text, mut goes_on) = self.continued(stripped);
            let place = |column| Place {
                line: physical.number,
                column,
            };
            line.push(text, place(trimmed.len() - stripped.len() + 1));
            if !goes_on && line.text.is_empty() {
                continue;
            }
            while goes_on {
                let Some(next) = self.physical() else { break };
                let trimmed = next.text.trim_end_matches(['\r', '\n']);
                let stripped = trimmed.trim_start();
                if stripped.starts_with('#') || stripped.is_empty() {
                    continue;
                }
                let (text, more) = self.continued(trimmed);
                goes_on = more;
                let place = Place {
                    line: next.number,
                    column: 1,
                };
                line.push(text, place);
            }
            if !line.text.trim().is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// A physical line without the mark that it goes on, and whether it has one.
    fn continued<'b>(&self, line: &'b str) -> (&'b str, bool) {
        let escape = self.escape();
        let Some(before) = line.trim_end_matches([' ', '\t']).strip_suffix(escape) else {
            return (line, false);
        };
        if before.ends_with(escape) {
            (line, false)
        } else {
            (before, true)
        }
    }
}

impl Directives {
    fn look(&mut self, line: &str, number: usize) -> Result<(), Problem> {
        if self.is_over {
            return Ok(());
        }
        let Some((name, value)) = directive(line) else {
            self.is_over = true;
            return Ok(());
        };
        let place = Place {
            line: number,
            column: 1,
        };
        if self.seen.contains(&name) {
            let message = format!("the directive `{name}` is given twice");
            return Err(Problem::new(place, message));
        }
        if name == "escape" {
            self.escape = match value {
                "\\" => '\\',
                "`" => '`',
                _ => {
                    let message = format!("`{value}` cannot be the escape character");
                    return Err(Problem::new(place, message).help("it is `\\` or a backtick"));
                }
            };
        }
        self.seen.push(name);
        Ok(())
    }
}

/// `# NAME = VALUE` of a directive that there is.
fn directive(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.strip_prefix('#')?.trim_start().split_once('=')?;
    let name = name.trim_end().to_ascii_lowercase();
    let value = value.trim();
    let is_known = ["syntax", "escape", "check"].contains(&&*name);
    (is_known && !value.is_empty()).then_some((name, value))
}
