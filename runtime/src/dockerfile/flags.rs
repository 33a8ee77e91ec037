//! `--name` and `--name=value` before an instruction's words.

use super::Problem;
use super::line::Line;
use super::place::Place;

/// A flag as written, without quotes and escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) text: String,
    pub(super) place: Place,
}

/// Takes the flags from the line's text behind `begin`; they, and where the rest begins.
pub(super) fn take(line: &Line, begin: usize, escape: char) -> (Vec<Flag>, usize) {
    let mut flags = Vec::new();
    let mut at = begin;
    loop {
        let rest = &line.text[at..];
        let word = rest.trim_start();
        let start = line.text.len() - word.len();
        if !word.starts_with("--") {
            return (flags, start);
        }
        let (text, length) = one(word, escape);
        at = start + length;
        if text == "--" {
            return (flags, at);
        }
        flags.push(Flag {
            text,
            place: line.place(start),
        });
    }
}

/// One word without quotes and escapes, and its length as written.
fn one(text: &str, escape: char) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => return (word, at),
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == escape => word.extend(chars.next().map(|(_, c)| c)),
            _ => word.push(c),
        }
    }
    (word, text.len())
}

/// An instruction's flags, taken one by one by whoever knows them.
#[derive(Debug)]
pub(super) struct Flags {
    /// Of the instruction, for messages.
    keyword: String,
    rest: Vec<Flag>,
}

impl Flags {
    pub(super) fn new(keyword: &str, flags: Vec<Flag>) -> Self {
        Self {
            keyword: keyword.to_ascii_uppercase(),
            rest: flags,
        }
    }

    /// The value of a flag that may be given once.
    pub(super) fn value(&mut self, name: &str) -> Result<Option<(String, Place)>, Problem> {
        let mut all = self.values(name)?;
        if all.len() > 1 {
            let message = format!("`--{name}` is given twice");
            return Err(Problem::new(all[1].1, message));
        }
        Ok(all.pop())
    }

    /// The values of a flag that may be given several times.
    pub(super) fn values(&mut self, name: &str) -> Result<Vec<(String, Place)>, Problem> {
        let (mine, others) = std::mem::take(&mut self.rest)
            .into_iter()
            .partition::<Vec<_>, _>(|flag| flag_name(&flag.text) == name);
        self.rest = others;
        mine.into_iter()
            .map(|flag| match flag.text.split_once('=') {
                Some((_, value)) => Ok((value.to_owned(), flag.place)),
                None => Err(Problem::new(
                    flag.place,
                    format!("`--{name}` needs a value: `--{name}=..`"),
                )),
            })
            .collect()
    }

    /// A flag that is there or not, or says `true` or `false`; where it stands.
    pub(super) fn switch(&mut self, name: &str) -> Result<Option<(bool, Place)>, Problem> {
        let Some(at) = self
            .rest
            .iter()
            .position(|flag| flag_name(&flag.text) == name)
        else {
            return Ok(None);
        };
        let flag = self.rest.remove(at);
        match flag.text.split_once('=').map(|(_, value)| value) {
            None | Some("true") => Ok(Some((true, flag.place))),
            Some("false") => Ok(Some((false, flag.place))),
            Some(_) => {
                let message = format!("`--{name}` is `true` or `false`");
                Err(Problem::new(flag.place, message))
            }
        }
    }

    /// Nobody knows what is left.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.rest.first() {
            None => Ok(()),
            Some(flag) => {
                let name = flag_name(&flag.text);
                let message = format!("`{}` has no flag `--{name}`", self.keyword);
                Err(Problem::new(flag.place, message))
            }
        }
    }
}

fn flag_name(text: &str) -> &str {
    let text = text.strip_prefix("--").unwrap_or(text);
    text.split_once('=').map_or(text, |(name, _)| name)
}
