//! Names and values as steps and people write them into files: one a line, or over lines.
//!
//! ```text
//! # a comment
//! NAME=value to the end of the line
//! NAME<<END
//! a value of
//! several lines
//! END
//! ```
//! The value of the second form ends before the line break in front of its end mark.

use std::io::{self, Read};

/// Bytes of such a file.
const LIMIT: u64 = 1 << 20;

/// Entries of such a file.
const ENTRIES: usize = 1_024;

/// What is wrong with such a file.
#[derive(Debug, thiserror::Error)]
pub enum AssignmentError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It is too large to be meant.
    #[error("it has more than {LIMIT} bytes (1 MiB)")]
    TooLarge,
    /// It has too many entries.
    #[error("it has more than {ENTRIES} entries")]
    TooMany,
    /// A line of it makes no sense. Lines hold secrets, so that none is quoted.
    #[error("line {line}: {problem}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Reads names and values in their order; a name may come again.
pub fn read(file: impl Read) -> Result<Vec<(String, String)>, AssignmentError> {
    let mut bytes = Vec::new();
    let read = file.take(LIMIT + 1).read_to_end(&mut bytes)? as u64;
    if read > LIMIT {
        return Err(AssignmentError::TooLarge);
    }
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Vec<(String, String)>, AssignmentError> {
    let mut found = Vec::new();
    let mut lines = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .enumerate();
    while let Some((index, line)) = lines.next() {
        let wrong = |problem| AssignmentError::Line {
            line: index + 1,
            problem,
        };
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let text = std::str::from_utf8(line).map_err(|_| wrong("it is not UTF-8"))?;
        if found.len() == ENTRIES {
            return Err(AssignmentError::TooMany);
        }
        let equals = text.find('=').unwrap_or(text.len());
        let (name, value) = match text.split_once("<<") {
            Some((name, end)) if name.len() < equals => {
                if end.is_empty() {
                    return Err(wrong("an end mark is missing behind `<<`"));
                }
                let mut value: Vec<&str> = Vec::new();
                loop {
                    let Some((_, line)) = lines.next() else {
                        return Err(wrong("the end mark never comes"));
                    };
                    let line =
                        std::str::from_utf8(line).map_err(|_| wrong("the value is not UTF-8"))?;
                    if line == end {
                        break;
                    }
                    value.push(line);
                }
                (name, value.join("\n"))
            }
            _ => match text.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => return Err(wrong("it is neither `NAME=value` nor `NAME<<END`")),
            },
        };
        if !is_name(name) {
            return Err(wrong(
                "a name has letters, digits, `_` and `-`, and starts with no digit",
            ));
        }
        if value.contains('\0') {
            return Err(wrong("the value contains a NUL character"));
        }
        found.push((name.to_owned(), value));
    }
    Ok(found)
}

fn is_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    name.bytes().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{parse, read};

    fn parsed(text: &str) -> Result<Vec<(String, String)>, String> {
        parse(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn both_forms_are_read() {
        let found =
            parsed("# note\nA=b=c <<d\n\nB<<END\none=1\n two\nEND\nC=\r\nD<<x\nx\n").unwrap();
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            found,
            [("A", "b=c <<d"), ("B", "one=1\n two"), ("C", ""), ("D", "")]
        );
    }

    #[test]
    fn mistakes_name_the_line_and_never_quote_it() {
        for (text, message) in [
            (
                "A=1\nsecret",
                "line 2: it is neither `NAME=value` nor `NAME<<END`",
            ),
            ("A<<E\nsecret", "line 1: the end mark never comes"),
            ("A<<\nx", "line 1: an end mark is missing behind `<<`"),
            (
                "1A=x",
                "line 1: a name has letters, digits, `_` and `-`, and starts with no digit",
            ),
            (
                "=x",
                "line 1: a name has letters, digits, `_` and `-`, and starts with no digit",
            ),
            ("A=\0", "line 1: the value contains a NUL character"),
        ] {
            assert_eq!(parsed(text).unwrap_err(), message);
        }
        let invalid = parse(b"A=\xff").unwrap_err().to_string();
        assert_eq!(invalid, "line 1: it is not UTF-8");
    }

    #[test]
    fn size_and_number_are_bounded() {
        let large = vec![b'#'; (1 << 20) + 1];
        assert!(read(&large[..]).unwrap_err().to_string().contains("1 MiB"));
        assert!(
            parsed(&"A=\n".repeat(1_025))
                .unwrap_err()
                .contains("1024 entries")
        );
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(values in proptest::collection::vec("[^\0\r]*", 0..8)) {
            let text: String = values
                .iter()
                .enumerate()
                .map(|(n, value)| format!("N{n}<<the-end-mark-{n}\n{value}\nthe-end-mark-{n}\n"))
                .collect();
            let found: Vec<String> = parsed(&text).unwrap().into_iter().map(|(_, value)| value).collect();
            prop_assert_eq!(found, values);
        }

        #[test]
        fn whatever_the_bytes_there_is_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
