//! One instruction before anybody asks what it means: keyword, flags, words.

use super::flags::{self, Flag};
use super::heredoc::{self, Heredoc};
use super::line::{Line, Lines};
use super::place::{Place, Problem};
use super::{MAX_INSTRUCTIONS, split};

/// All instructions of a file.
#[derive(Debug)]
pub(super) struct Nodes {
    pub(super) nodes: Vec<Node>,
    pub(super) escape: char,
    /// Where the file ends.
    pub(super) end: Place,
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// As written.
    pub(super) keyword: String,
    /// Of the keyword.
    pub(super) place: Place,
    /// Where its words begin.
    pub(super) words_place: Place,
    pub(super) flags: Vec<Flag>,
    /// What its words are depends on the keyword; of pairs come name, value, and `=` or nothing.
    pub(super) words: Vec<String>,
    /// They came as `[ ".." ]`.
    pub(super) is_json: bool,
    pub(super) heredocs: Vec<Heredoc>,
    /// The instruction inside of `ONBUILD`.
    pub(super) child: Option<Box<Self>>,
    /// The logical line, for the image's history.
    pub(super) source: String,
}

impl Node {
    /// In lower case.
    pub(super) fn keyword(&self) -> &'static str {
        KEYWORDS
            .iter()
            .find(|known| self.keyword.eq_ignore_ascii_case(known))
            .copied()
            .unwrap_or("")
    }

    /// Whether `<<` in it is a heredoc.
    fn takes_heredocs(&self) -> bool {
        let innermost = self.child.as_deref().unwrap_or(self);
        ["run", "copy", "add"].contains(&innermost.keyword()) && !innermost.is_json
    }
}

/// Every instruction there is.
pub(super) const KEYWORDS: [&str; 18] = [
    "add",
    "arg",
    "cmd",
    "copy",
    "entrypoint",
    "env",
    "expose",
    "from",
    "healthcheck",
    "label",
    "maintainer",
    "onbuild",
    "run",
    "shell",
    "stopsignal",
    "user",
    "volume",
    "workdir",
];

/// Reads a file.
pub(super) fn nodes(text: &str) -> Result<Nodes, Problem> {
    let mut lines = Lines::new(text);
    let mut nodes = Vec::new();
    while let Some(line) = lines.logical()? {
        let mut node = node(&line, 0, lines.escape())?;
        if node.takes_heredocs() && line.text.contains("<<") {
            node.heredocs = heredoc::take(&line, &mut lines)?;
            if let Some(child) = &mut node.child {
                child.heredocs.clone_from(&node.heredocs);
            }
        }
        if nodes.len() == MAX_INSTRUCTIONS {
            let message = format!("the file has more than {MAX_INSTRUCTIONS} instructions");
            return Err(Problem::new(node.place, message));
        }
        nodes.push(node);
    }
    let end = Place {
        line: text.lines().count().max(1),
        column: 1,
    };
    if nodes.is_empty() {
        let problem = Problem::new(end, "the file has no instruction");
        return Err(problem.help("it begins with `FROM`"));
    }
    Ok(Nodes {
        nodes,
        escape: lines.escape(),
        end,
    })
}

/// Reads what a logical line has behind a byte.
fn node(line: &Line, begin: usize, escape: char) -> Result<Node, Problem> {
    let text = line.text[begin..].trim();
    let begin = begin + (line.text[begin..].len() - line.text[begin..].trim_start().len());
    let end = line.text.trim_end().len();
    let (keyword, behind) = split::first(text).unwrap_or((text, ""));
    let (flags, words) = if behind.is_empty() {
        (Vec::new(), end)
    } else {
        flags::take(line, begin + text.len() - behind.len(), escape)
    };
    let rest = line.text.get(words..).unwrap_or("").trim();
    let words = words
        + (line.text[words.min(line.text.len())..].len()
            - line.text[words.min(line.text.len())..].trim_start().len());
    let mut node = Node {
        keyword: keyword.to_owned(),
        place: line.place(begin),
        words_place: line.place(words.min(line.text.len())),
        flags,
        words: Vec::new(),
        is_json: false,
        heredocs: Vec::new(),
        child: None,
        source: text.to_owned(),
    };
    let wrong = |message: String| Problem::new(line.place(words), message);
    match node.keyword() {
        "onbuild" if !rest.is_empty() => {
            // One level: a trigger's trigger is refused, and must not be read to any depth before.
            let inner = split::first(rest).map_or(rest, |(word, _)| word);
            if inner.eq_ignore_ascii_case("onbuild") {
                return Err(wrong("a trigger cannot be `ONBUILD` itself".to_owned()));
            }
            node.child = Some(Box::new(self::node(line, words, escape)?));
        }
        "env" | "label" => node.words = pairs(rest, keyword, escape).map_err(wrong)?,
        "arg" => node.words = split::quoted(rest, escape),
        "from" | "expose" => node.words = split::blanks(rest),
        "add" | "copy" | "volume" => match list(rest).map_err(wrong)? {
            Some(list) => (node.words, node.is_json) = (list, true),
            None => node.words = split::blanks(rest),
        },
        "run" | "cmd" | "entrypoint" | "shell" => {
            (node.words, node.is_json) = command(rest).map_err(wrong)?;
        }
        "healthcheck" => {
            let (kind, behind) = rest
                .split_once(char::is_whitespace)
                .map_or((rest, ""), |(kind, behind)| (kind, behind.trim_start()));
            if !kind.is_empty() {
                let (mut words, is_json) = command(behind).map_err(wrong)?;
                words.insert(0, kind.to_owned());
                (node.words, node.is_json) = (words, is_json);
            }
        }
        "maintainer" | "stopsignal" | "user" | "workdir" if !rest.is_empty() => {
            node.words = vec![rest.to_owned()];
        }
        _ => {}
    }
    Ok(node)
}

/// A list in JSON, or one text.
fn command(rest: &str) -> Result<(Vec<String>, bool), String> {
    if rest.is_empty() {
        return Ok((Vec::new(), false));
    }
    Ok(match list(rest)? {
        Some(list) => (list, true),
        None => (vec![rest.to_owned()], false),
    })
}

fn list(rest: &str) -> Result<Option<Vec<String>>, String> {
    split::json(rest).map_err(|()| "a list in `[ ]` has nothing but texts in it".to_owned())
}

/// `NAME=value ..`, or `NAME value`.
fn pairs(rest: &str, keyword: &str, escape: char) -> Result<Vec<String>, String> {
    let words = split::quoted(rest, escape);
    let Some(first) = words.first() else {
        return Ok(Vec::new());
    };
    let keyword = keyword.to_ascii_uppercase();
    if !first.contains('=') {
        let (name, value) =
            split::first(rest).ok_or_else(|| format!("`{keyword} {rest}` has no value"))?;
        return Ok(vec![name.to_owned(), value.to_owned(), String::new()]);
    }
    let mut all = Vec::with_capacity(words.len() * 3);
    for word in &words {
        let (name, value) = word
            .split_once('=')
            .ok_or_else(|| format!("`{word}` has no `=`: `{keyword}` takes NAME=value"))?;
        all.extend([name.to_owned(), value.to_owned(), "=".to_owned()]);
    }
    Ok(all)
}
