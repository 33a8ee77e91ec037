//! Words of a Dockerfile: quotes, escapes and variables, as BuildKit's `shell.Lex` has them after the shell.
//!
//! | written | is |
//! |---|---|
//! | `$x` `${x}` | the value, or nothing |
//! | `${x:-w}` `${x-w}` | `w` where `x` is unset (or empty, with `:`) |
//! | `${x:+w}` `${x+w}` | `w` where `x` is set (and not empty, with `:`) |
//! | `${x:?w}` `${x?w}` | a mistake that says `w` where it is unset (or empty) |
//! | `${x#p}` `${x##p}` `${x%p}` `${x%%p}` | without what `p` matches at the beginning or the end, the shortest or longest |
//! | `${x/p/w}` `${x//p/w}` | with `w` for the first or every match |

use std::iter::Peekable;
use std::str::Chars;

use super::pattern::Pattern;

/// Of a word that has been expanded, bytes: as much as the kernel takes as one argument (`MAX_ARG_STRLEN`).
const LONGEST: usize = 128 * 1024;
/// `${a:-${b:-..}}`, levels.
const DEEPEST: usize = 32;

/// Why a word is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// It ends before this.
    #[error("there is no closing `{0}`")]
    Unclosed(char),
    /// Nothing or something odd where a name is expected.
    #[error("a variable's name is missing in `${{}}`")]
    Name,
    /// An operator that there is not.
    #[error("`{0}` is no operator in `${{}}`")]
    Operator(String),
    /// `${x:?..}`.
    #[error("{name}: {message}")]
    Required {
        /// Of the variable.
        name: String,
        /// As written there, or ours.
        message: String,
    },
    /// Of `${x#pattern}`.
    #[error("`{0}` is no pattern")]
    Pattern(String),
    /// It becomes too long.
    #[error("with its variables it is longer than {LONGEST} bytes")]
    TooLong,
    /// Variables in variables.
    #[error("`${{}}` is nested more than {DEEPEST} times")]
    TooDeep,
}

/// What variables are: a name's value, if it is set.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How words are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer {
    pub(super) escape: char,
    /// Quotes stay in the result.
    pub(super) keeps_quotes: bool,
    /// Escapes stay in the result.
    pub(super) keeps_escapes: bool,
    /// Variables that are not set stay as written.
    pub(super) keeps_unset: bool,
    /// Quotes mean nothing.
    pub(super) ignores_quotes: bool,
}

impl Lexer {
    pub(super) const fn new(escape: char) -> Self {
        Self {
            escape,
            keeps_quotes: false,
            keeps_escapes: false,
            keeps_unset: false,
            ignores_quotes: false,
        }
    }

    /// Words between blanks.
    pub(super) fn words(
        &self,
        text: &str,
        variables: Variables<'_>,
    ) -> Result<Vec<String>, WordError> {
        Ok(self.process(text, variables)?.1)
    }

    pub(super) fn process(
        self,
        text: &str,
        variables: Variables<'_>,
    ) -> Result<(String, Vec<String>), WordError> {
        let mut scan = Scan {
            lexer: self,
            chars: text.chars().peekable(),
            variables,
            keeps_escapes: self.keeps_escapes,
            depth: 0,
        };
        let built = scan.until(None)?;
        Ok((built.text, built.words))
    }
}

/// What has been read so far: as one text, and as words.
#[derive(Default)]
struct Built {
    text: String,
    words: Vec<String>,
    word: String,
}

impl Built {
    /// Blanks separate.
    fn plain(&mut self, c: char) {
        self.text.push(c);
        if !c.is_whitespace() {
            self.word.push(c);
        } else if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    /// Blanks do not.
    fn raw(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.push_str(text);
    }

    fn finish(mut self) -> Self {
        if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
        self
    }
}

struct Scan<'a> {
    lexer: Lexer,
    chars: Peekable<Chars<'a>>,
    variables: Variables<'a>,
    keeps_escapes: bool,
    depth: usize,
}

impl Scan<'_> {
    /// Up to `stop`, which is taken, or to the end.
    fn until(&mut self, stop: Option<char>) -> Result<Built, WordError> {
        let mut built = Built::default();
        while let Some(&c) = self.chars.peek() {
            if built.text.len() > LONGEST && self.depth > 0 {
                return Err(WordError::TooLong);
            }
            if Some(c) == stop {
                self.chars.next();
                return Ok(built.finish());
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    if built.text.len().saturating_add(value.len()) > LONGEST {
                        return Err(WordError::TooLong);
                    }
                    value.chars().for_each(|c| built.plain(c));
                }
                '<' => {
                    let text = self.heredoc();
                    built.raw(&text);
                }
                '\'' if !self.lexer.ignores_quotes => {
                    let text = self.single()?;
                    built.raw(&text);
                }
                '"' if !self.lexer.ignores_quotes => {
                    let text = self.double()?;
                    built.raw(&text);
                }
                _ if c == self.lexer.escape => {
                    self.chars.next();
                    if self.keeps_escapes {
                        built.raw(c.encode_utf8(&mut [0; 4]));
                    }
                    let Some(next) = self.chars.next() else { break };
                    built.raw(next.encode_utf8(&mut [0; 4]));
                }
                _ => {
                    self.chars.next();
                    built.plain(c);
                }
            }
        }
        match stop {
            Some('/') => Err(WordError::Unclosed('/')),
            Some(_) => Err(WordError::Unclosed('}')),
            None => Ok(built.finish()),
        }
    }

    /// Up to `stop` one level deeper.
    fn inner(&mut self, stop: char, keeps_escapes: bool) -> Result<String, WordError> {
        if self.depth == DEEPEST {
            return Err(WordError::TooDeep);
        }
        self.depth += 1;
        let before = std::mem::replace(&mut self.keeps_escapes, keeps_escapes);
        let built = self.until(Some(stop));
        self.keeps_escapes = before;
        self.depth -= 1;
        Ok(built?.text)
    }

    fn single(&mut self) -> Result<String, WordError> {
        let mut text = String::new();
        self.quote(&mut text);
        loop {
            match self.chars.peek() {
                None => return Err(WordError::Unclosed('\'')),
                Some('\'') => {
                    self.quote(&mut text);
                    return Ok(text);
                }
                Some(&c) => {
                    self.chars.next();
                    text.push(c);
                }
            }
        }
    }

    fn double(&mut self) -> Result<String, WordError> {
        let mut text = String::new();
        self.quote(&mut text);
        loop {
            if text.len() > LONGEST {
                return Err(WordError::TooLong);
            }
            match self.chars.peek() {
                None => return Err(WordError::Unclosed('"')),
                Some('"') => {
                    self.quote(&mut text);
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(&c) => {
                    self.chars.next();
                    let mut c = c;
                    if c == self.lexer.escape {
                        if self.keeps_escapes {
                            text.push(c);
                        }
                        match self.chars.peek() {
                            None => continue,
                            Some(&next) if ['"', '$', self.lexer.escape].contains(&next) => {
                                self.chars.next();
                                c = next;
                            }
                            Some(_) => {}
                        }
                    }
                    text.push(c);
                }
            }
        }
    }

    fn quote(&mut self, text: &mut String) {
        let quote = self.chars.next();
        if self.lexer.keeps_quotes {
            text.extend(quote);
        }
    }

    /// `<<` and the blanks behind it, which do not separate it from its word.
    fn heredoc(&mut self) -> String {
        self.chars.next();
        let mut text = "<".to_owned();
        if self.chars.next_if_eq(&'<').is_some() {
            text.push('<');
            while let Some(blank) = self.chars.next_if(|c| ['\t', '\r', ' '].contains(c)) {
                text.push(blank);
            }
        }
        text
    }

    fn dollar(&mut self) -> Result<String, WordError> {
        self.chars.next();
        if self.chars.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(match (self.variables)(&name) {
                _ if name.is_empty() => "$".to_owned(),
                Some(value) => value,
                None if self.lexer.keeps_unset => format!("${name}"),
                None => String::new(),
            });
        }
        match self.chars.peek() {
            None => return Err(WordError::Unclosed('}')),
            Some('{' | '}' | ':') => return Err(WordError::Name),
            Some(_) => {}
        }
        let name = self.name();
        let value = (self.variables)(&name);
        let Some(mut operator) = self.chars.next() else {
            return Err(WordError::Unclosed('}'));
        };
        let mut written = operator.to_string();
        let counts_empty = operator == ':';
        if counts_empty {
            operator = self.chars.next().ok_or(WordError::Unclosed('}'))?;
            written.push(operator);
        }
        let is_cut = ['#', '%'].contains(&operator);
        match operator {
            '}' if !counts_empty => Ok(match value {
                None if self.lexer.keeps_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            '-' | '+' | '?' | '#' | '%' if !(counts_empty && is_cut) => {
                let word = self.inner('}', is_cut)?;
                if self.lexer.keeps_unset && value.is_none() {
                    return Ok(format!("${{{name}{written}{word}}}"));
                }
                if is_cut {
                    return cut(value.unwrap_or_default(), operator, &word);
                }
                let counts = value.filter(|value| !(counts_empty && value.is_empty()));
                choose(name, operator, word, counts, counts_empty)
            }
            '/' if !counts_empty => self.replace(&name, value),
            _ => Err(WordError::Operator(written)),
        }
    }

    fn replace(&mut self, name: &str, value: Option<String>) -> Result<String, WordError> {
        let all = self.chars.next_if_eq(&'/').is_some();
        let pattern = self.inner('/', true)?;
        let with = self.inner('}', true)?;
        match value {
            None if self.lexer.keeps_unset => Ok(format!("${{{name}/{pattern}/{with}}}")),
            value => {
                let replaced = Pattern::parse(&pattern)?.replace(
                    &value.unwrap_or_default(),
                    &with,
                    all,
                    LONGEST,
                );
                replaced.ok_or(WordError::TooLong)
            }
        }
    }

    /// Letters, digits and `_`; or nothing but digits; or one of the shell's own.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek() {
            Some(c) if c.is_numeric() => {
                while let Some(c) = self.chars.next_if(|c| c.is_numeric()) {
                    name.push(c);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.chars.next()),
            _ => {
                while let Some(c) = self.chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
        }
        name
    }
}

/// `${name-word}` and its like; `value` is `None` where it does not count.
fn choose(
    name: String,
    operator: char,
    word: String,
    value: Option<String>,
    counts_empty: bool,
) -> Result<String, WordError> {
    match (operator, value) {
        ('-', None) => Ok(word),
        ('+', Some(_)) => Ok(word),
        ('+', None) => Ok(String::new()),
        ('?', None) => {
            let ours = if counts_empty {
                "it is not set, or empty"
            } else {
                "it is not set"
            };
            let message = if word.is_empty() {
                ours.to_owned()
            } else {
                word
            };
            Err(WordError::Required { name, message })
        }
        (_, value) => Ok(value.unwrap_or_default()),
    }
}

/// `${name#pattern}` and its like.
fn cut(value: String, operator: char, word: &str) -> Result<String, WordError> {
    let longest = word.starts_with(operator);
    let pattern = Pattern::parse(if longest { &word[1..] } else { word })?;
    Ok(if operator == '#' {
        pattern.without_prefix(&value, longest)
    } else {
        pattern.without_suffix(&value, longest)
    })
}
