//! The words of CEL: <https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax>.

use std::ops::Range;

use super::Mistake;

/// A word and its bytes in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) range: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Name, keyword or reserved word.
    Word,
    /// A whole number, decimal or hexadecimal.
    Int,
    /// A number with a point or an exponent.
    Float,
    /// A string with its quotes and prefix.
    Text,
    /// An operator or a bracket: one of [`SIGNS`].
    Sign(&'static str),
}

/// Longer ones first, where one starts with another.
const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "<", ">",
    "+", "-", "*", "/", "%", "!",
];

/// Cuts a text into tokens, one at a time.
#[derive(Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    /// Starts at an offset of the text.
    pub(super) const fn new(text: &'t str, at: usize) -> Self {
        Self { text, at }
    }

    /// The next token, behind white space and comments; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Token>, Mistake> {
        self.skip_blanks();
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(None);
        };
        if let Some(prefix) = string_prefix(rest) {
            return self.string(prefix).map(Some);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let length = leading(rest, |c| c.is_ascii_alphanumeric() || c == b'_');
            return Ok(Some(self.take(TokenKind::Word, length)));
        }
        if first.is_ascii_digit() || (first == '.' && starts_with_digit(&rest[1..])) {
            return self.number().map(Some);
        }
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            return Ok(Some(self.take(TokenKind::Sign(sign), sign.len())));
        }
        Err(self.stranger(first))
    }

    fn stranger(&self, character: char) -> Mistake {
        let range = self.at..self.at + character.len_utf8();
        let mistake = Mistake::new(range, format!("unexpected {character:?}"));
        match character {
            '=' => mistake.help("`==` compares"),
            '&' => mistake.help("`&&` is true when both sides are"),
            '|' => mistake.help("`||` is true when one side is"),
            '$' => mistake.help("inside an expression a variable has no `$`: `branch`, `env.NAME`"),
            '`' | '\u{2018}'..='\u{201d}' => mistake.help("strings stand in \"..\" or '..'"),
            _ => mistake,
        }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn take(&mut self, kind: TokenKind, length: usize) -> Token {
        let start = self.at;
        self.at += length;
        Token {
            kind,
            range: start..self.at,
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blanks = leading(rest, |c| matches!(c, b' ' | b'\t' | b'\n' | b'\r' | 0x0c));
            self.at += blanks;
            if !rest[blanks..].starts_with("//") {
                return;
            }
            self.at += leading(&rest[blanks..], |c| c != b'\n');
        }
    }

    /// Sign and exponent belong to a number only where digits follow: `1.size()` is a call on `1`.
    fn number(&mut self) -> Result<Token, Mistake> {
        let rest = self.rest();
        let digits = |from: usize| leading(&rest[from..], |c| c.is_ascii_digit());
        let mut kind = TokenKind::Int;
        let mut length = digits(0);
        if rest.starts_with("0x") || rest.starts_with("0X") {
            length = 2 + leading(&rest[2..], |c| c.is_ascii_hexdigit());
        } else {
            if rest[length..].starts_with('.') && starts_with_digit(&rest[length + 1..]) {
                kind = TokenKind::Float;
                length += 1 + digits(length + 1);
            }
            if rest[length..].starts_with(['e', 'E']) {
                let sign = usize::from(rest[length + 1..].starts_with(['+', '-']));
                let exponent = digits(length + 1 + sign);
                if exponent > 0 {
                    kind = TokenKind::Float;
                    length += 1 + sign + exponent;
                }
            }
        }
        let tail = leading(&rest[length..], |c| c.is_ascii_alphanumeric() || c == b'_');
        let token = self.take(kind, length + tail);
        if tail == 0 {
            return Ok(token);
        }
        let mistake = Mistake::new(
            token.range.clone(),
            format!("`{}` is no number", &self.text[token.range]),
        );
        Err(match &rest[length..length + tail] {
            "u" | "U" => mistake.help("there are no unsigned numbers here: leave the `u` out"),
            _ => mistake,
        })
    }

    fn string(&mut self, prefix: StringPrefix) -> Result<Token, Mistake> {
        let quote = prefix.quote;
        let start = self.at;
        let mut at = start + prefix.letters + quote.len();
        let bytes = self.text.as_bytes();
        loop {
            let Some(&byte) = bytes.get(at) else {
                return Err(self.unclosed(start, at));
            };
            if self.text[at..].starts_with(quote) {
                self.at = at + quote.len();
                break;
            }
            match byte {
                b'\n' | b'\r' if quote.len() == 1 => return Err(self.unclosed(start, at)),
                b'\\' if !prefix.raw => at += 1 + next_length(self.text, at + 1),
                _ => at += next_length(self.text, at),
            }
        }
        let range = start..self.at;
        if prefix.bytes {
            return Err(
                Mistake::new(range, "byte strings are not supported").help("leave the `b` out")
            );
        }
        Ok(Token {
            kind: TokenKind::Text,
            range,
        })
    }

    fn unclosed(&mut self, start: usize, end: usize) -> Mistake {
        self.at = end;
        Mistake::new(start..end, "a string without an end").help("close it with the same quotes")
    }
}

struct StringPrefix {
    letters: usize,
    raw: bool,
    bytes: bool,
    quote: &'static str,
}

/// `"`, `'''`, `r"`, `bR'`: up to one `r` and one `b`, then quotes.
fn string_prefix(rest: &str) -> Option<StringPrefix> {
    let letters = leading(rest, |c| matches!(c, b'r' | b'R' | b'b' | b'B'));
    let has = |letter: u8| {
        let letters = rest.as_bytes()[..letters].iter();
        letters.filter(|l| l.eq_ignore_ascii_case(&letter)).count()
    };
    let (raw, bytes) = (has(b'r'), has(b'b'));
    let quotes = ["\"\"\"", "'''", "\"", "'"];
    let quote = quotes
        .into_iter()
        .find(|quote| rest[letters..].starts_with(quote))?;
    (raw <= 1 && bytes <= 1).then_some(StringPrefix {
        letters,
        raw: raw == 1,
        bytes: bytes == 1,
        quote,
    })
}

/// How many bytes at the start satisfy a test that only ASCII can satisfy or only ASCII can fail.
fn leading(text: &str, test: impl Fn(u8) -> bool) -> usize {
    let bytes = text.as_bytes();
    bytes
        .iter()
        .position(|&byte| !test(byte))
        .unwrap_or(bytes.len())
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// Bytes of the character at an offset; none at the end.
fn next_length(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(0, char::len_utf8)
}
