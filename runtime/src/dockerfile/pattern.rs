//! Patterns of `${x#p}` and `${x/p/w}`: `*`, `?` and characters (POSIX XCU 2.13, without brackets, as BuildKit has them).

use super::words::WordError;

/// Of a pattern, parts; and of a text it is looked for in, characters. Together they bound what a match costs.
const MOST_PARTS: usize = 127;
const LONGEST_TEXT: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Star,
    Any,
    One(char),
}

/// A pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    parts: Vec<Part>,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, WordError> {
        let wrong = || WordError::Pattern(text.chars().take(80).collect());
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Star,
                '?' => Part::Any,
                '\\' => match chars.next() {
                    Some(c @ ('}' | '/' | '*' | '?' | '\\')) => Part::One(c),
                    _ => return Err(wrong()),
                },
                c => Part::One(c),
            });
        }
        if parts.len() > MOST_PARTS {
            return Err(wrong());
        }
        Ok(Self { parts })
    }

    pub(super) fn without_prefix(&self, text: &str, longest: bool) -> String {
        let chars: Vec<char> = text.chars().collect();
        let end = self.match_at(&chars, longest).unwrap_or(0);
        chars.into_iter().skip(end).collect()
    }

    pub(super) fn without_suffix(&self, text: &str, longest: bool) -> String {
        let reversed = Self {
            parts: self.parts.iter().rev().copied().collect(),
        };
        let backwards: Vec<char> = text.chars().rev().collect();
        let end = reversed.match_at(&backwards, longest).unwrap_or(0);
        backwards.into_iter().skip(end).rev().collect()
    }

    /// With `with` for the first, or every, longest match; `None` where that becomes longer than `bound` bytes.
    pub(super) fn replace(
        &self,
        text: &str,
        with: &str,
        all: bool,
        bound: usize,
    ) -> Option<String> {
        let chars: Vec<char> = text.chars().collect();
        let mut out = String::new();
        let (mut at, mut open) = (0, true);
        while at <= chars.len() {
            let found = open.then(|| self.match_at(&chars[at..], true)).flatten();
            if let Some(length) = found {
                out.push_str(with);
                open = all;
                if length > 0 {
                    at += length;
                    if at == chars.len() {
                        break;
                    }
                    continue;
                }
            }
            out.extend(chars.get(at));
            at += 1;
            if out.len() > bound {
                return None;
            }
        }
        (out.len() <= bound).then_some(out)
    }

    /// How many characters from the beginning match, the fewest or the most.
    fn match_at(&self, chars: &[char], longest: bool) -> Option<usize> {
        // A bit a place in the pattern that has been reached.
        let mut states = self.close(1);
        let end = 1_u128 << self.parts.len();
        let mut found = (states & end != 0).then_some(0);
        for (count, c) in (1..).zip(chars.iter().take(LONGEST_TEXT)) {
            if states == 0 || (found.is_some() && !longest) {
                break;
            }
            let mut next = 0;
            for (at, part) in self.parts.iter().enumerate() {
                if states & (1 << at) != 0 {
                    next |= match part {
                        Part::Star => 1 << at,
                        Part::Any => 1 << (at + 1),
                        Part::One(one) if one == c => 1 << (at + 1),
                        Part::One(_) => 0,
                    };
                }
            }
            states = self.close(next);
            if states & end != 0 {
                found = Some(count);
            }
        }
        found
    }

    /// With the places behind stars that match nothing.
    fn close(&self, mut states: u128) -> u128 {
        for (at, part) in self.parts.iter().enumerate() {
            if *part == Part::Star && states & (1 << at) != 0 {
                states |= 1 << (at + 1);
            }
        }
        states
    }
}
