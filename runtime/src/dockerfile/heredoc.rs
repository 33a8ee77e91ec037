//! Heredocs: `<<NAME` in `RUN`, `COPY` and `ADD`, and the lines up to one that is `NAME`.

use super::Problem;
use super::line::{Line, Lines};
use super::words::{Lexer, WordError};

/// Of one line, heredocs.
const MOST: usize = 64;

/// A text that an instruction brings along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heredoc {
    /// The word that ends it, and the file's name with `COPY`.
    pub(super) name: String,
    /// Before `<<`.
    pub(super) descriptor: u32,
    /// Variables in it are replaced: no part of the word was quoted.
    pub(super) expands: bool,
    /// Tabs at the beginnings of its lines are none of it.
    pub(super) chomps: bool,
    /// With the tabs.
    pub(super) content: String,
}

impl Heredoc {
    /// What it says, without the tabs where those do not count.
    pub(super) fn text(&self) -> String {
        if !self.chomps {
            return self.content.clone();
        }
        let lines = self.content.split_inclusive('\n');
        lines.map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// A word that begins a heredoc, if it is one.
pub(super) fn parse(word: &str) -> Result<Option<Heredoc>, WordError> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = word.split_at(digits);
    let Some(rest) = rest.strip_prefix("<<") else {
        return Ok(None);
    };
    let (chomps, rest) = rest
        .strip_prefix('-')
        .map_or((false, rest), |rest| (true, rest));
    let rest = rest.trim_start();
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let nothing = |_: &str| None;
    let lexer = Lexer {
        keeps_unset: true,
        ..Lexer::new('\\')
    };
    let words = lexer.words(rest, &nothing)?;
    let [name] = words.as_slice() else {
        return Ok(None);
    };
    let raw = Lexer {
        keeps_quotes: true,
        ..lexer
    };
    let as_written = raw.words(rest, &nothing)?;
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    let expands = as_written
        .first()
        .is_some_and(|raw| quotes(raw) == quotes(name));
    Ok(Some(Heredoc {
        name: name.clone(),
        descriptor: number.parse().unwrap_or(0),
        expands,
        chomps,
        content: String::new(),
    }))
}

/// The heredocs that a line announces, without their content.
pub(super) fn announced(text: &str) -> Result<Vec<Heredoc>, WordError> {
    let lexer = Lexer {
        keeps_quotes: true,
        keeps_escapes: true,
        keeps_unset: true,
        ..Lexer::new('\\')
    };
    // What does not read as words announces nothing.
    let words = lexer.words(text, &|_| None).unwrap_or_default();
    let found = words.iter().filter_map(|word| parse(word).transpose());
    found.take(MOST).collect()
}

/// Takes the lines of the heredocs that `line` announces.
pub(super) fn take(line: &Line, lines: &mut Lines<'_>) -> Result<Vec<Heredoc>, Problem> {
    let here = line.place(line.text.find("<<").unwrap_or(0));
    let mut all = announced(&line.text).map_err(|error| Problem::new(here, error.to_string()))?;
    for heredoc in &mut all {
        loop {
            let Some(next) = lines.physical() else {
                let message = format!("the heredoc `{}` has no end", heredoc.name);
                let help = format!("a line with nothing but `{}` ends it", heredoc.name);
                return Err(Problem::new(here, message).help(help));
            };
            let bare = next.text.trim_end_matches(['\r', '\n']);
            let bare = if heredoc.chomps {
                bare.trim_start_matches('\t')
            } else {
                bare
            };
            if bare == heredoc.name {
                break;
            }
            heredoc.content.push_str(next.text);
        }
    }
    Ok(all)
}
