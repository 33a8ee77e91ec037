//! Finds the expressions in a text.

use std::ops::Range;

use super::{
    Expression, Mistake, Template,
    template::Part,
    token::{Lexer, TokenKind},
};
use crate::limits;

const OPEN: &str = "${{";
const CLOSE: &str = "}}";

/// A template, or every mistake in it. Takes time in proportion to the text: what has been looked at for the end of an
/// expression is never looked at again.
pub(super) fn scan(text: &str) -> Result<Template, Vec<Mistake>> {
    let mut template = Template::default();
    let mut mistakes = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find(OPEN).map(|found| at + found) {
        let behind = open + OPEN.len();
        if text[at..open].ends_with('$') {
            template.push_text(text[at..open - 1].to_owned());
            template.push_text(OPEN.to_owned());
            at = behind;
            continue;
        }
        template.push_text(text[at..open].to_owned());
        let Some(close) = closing(text, behind) else {
            mistakes.push(unclosed(open..behind));
            return Err(mistakes);
        };
        at = close + CLOSE.len();
        match expression(text, behind..close) {
            Ok(part) => template.parts.push(part),
            Err(mistake) => mistakes.push(mistake),
        }
        if mistakes.len() >= limits::TEMPLATE_MISTAKES {
            return Err(mistakes);
        }
    }
    template.push_text(text[at..].to_owned());
    if mistakes.is_empty() {
        Ok(template)
    } else {
        Err(mistakes)
    }
}

fn unclosed(range: Range<usize>) -> Mistake {
    Mistake::new(range, "an expression that is not closed")
        .help("close it with `}}`; for the text itself write `$${{`")
}

fn expression(text: &str, place: Range<usize>) -> Result<Part, Mistake> {
    let inside = &text[place.clone()];
    let offset = place.start + inside.len() - inside.trim_start().len();
    let source = inside.trim();
    if source.is_empty() {
        let range = place.start - OPEN.len()..place.end + CLOSE.len();
        return Err(
            Mistake::new(range, "an empty expression").help("for the text itself write `$${{`")
        );
    }
    match Expression::parse(source) {
        Ok(expression) => Ok(Part::Expression { expression, offset }),
        Err(mistake) => Err(mistake.shifted(offset)),
    }
}

/// Where the `}}` starts that closes an expression: outside strings, comments and maps. When the text cannot be read as
/// words up to there, the next `}}`, whatever it is in.
fn closing(text: &str, start: usize) -> Option<usize> {
    let mut lexer = Lexer::new(text, start);
    let mut open = 0_usize;
    loop {
        let token = match lexer.next() {
            Ok(Some(token)) => token,
            Ok(None) => return None,
            Err(mistake) => return find_close(text, mistake.range.start),
        };
        match token.kind {
            TokenKind::Sign("{") => open += 1,
            TokenKind::Sign("}") if open > 0 => open -= 1,
            TokenKind::Sign("}") if text[token.range.end..].starts_with('}') => {
                return Some(token.range.start);
            }
            _ => {}
        }
    }
}

fn find_close(text: &str, from: usize) -> Option<usize> {
    text[from..].find(CLOSE).map(|found| from + found)
}
