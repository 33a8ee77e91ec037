//! What number and string tokens mean.

use std::ops::Range;

use super::{Float, Mistake, Value, token::Token};

/// The value of an int token, with the minus sign in front of it.
pub(super) fn int(text: &str, token: &Token, negative: bool) -> Result<Value, Mistake> {
    let written = &text[token.range.clone()];
    let hexadecimal = written
        .strip_prefix("0x")
        .or_else(|| written.strip_prefix("0X"));
    let sign = if negative { "-" } else { "" };
    let number = match hexadecimal {
        Some("") => {
            let message = format!("`{written}` is no number");
            return Err(Mistake::new(token.range.clone(), message));
        }
        Some(digits) => i64::from_str_radix(&format!("{sign}{digits}"), 16),
        None => format!("{sign}{written}").parse(),
    };
    number.map(Value::Int).map_err(|_| {
        let message = "a whole number beyond 64 bits";
        Mistake::new(token.range.clone(), message)
    })
}

/// The value of a float token, with the minus sign in front of it.
pub(super) fn float(text: &str, token: &Token, negative: bool) -> Result<Value, Mistake> {
    let number = text[token.range.clone()].parse().ok().and_then(Float::new);
    let number = number.ok_or_else(|| Mistake::new(token.range.clone(), "a number too large"))?;
    let number = if negative {
        Float::new(-number.get()).unwrap_or(number)
    } else {
        number
    };
    Ok(Value::Float(number))
}

/// The value of a string token: without quotes and prefix, escapes replaced.
pub(super) fn string(text: &str, token: &Token) -> Result<String, Mistake> {
    let written = &text[token.range.clone()];
    let letters = written.len() - written.trim_start_matches(['r', 'R']).len();
    let quotes = match &written[letters..] {
        long if long.starts_with("\"\"\"") || long.starts_with("'''") => 3,
        _ => 1,
    };
    let inside = letters + quotes..written.len() - quotes;
    let start = token.range.start + inside.start;
    let inside = &written[inside];
    if letters > 0 {
        return Ok(inside.to_owned());
    }
    let mut result = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(position) = rest.find('\\') {
        result.push_str(&rest[..position]);
        let offset = start + inside.len() - rest.len() + position;
        let (character, length) = escape(&rest[position + 1..], offset)?;
        result.push(character);
        rest = &rest[position + 1 + length..];
    }
    result.push_str(rest);
    Ok(result)
}

/// The character an escape stands for, and its bytes behind the backslash. `offset` is the backslash's.
fn escape(rest: &str, offset: usize) -> Result<(char, usize), Mistake> {
    let numeric = |range: Range<usize>, radix| {
        let digits = rest.get(range.clone())?;
        let digits = digits
            .chars()
            .all(|c| c.is_digit(radix))
            .then_some(digits)?;
        let code = u32::from_str_radix(digits, radix).ok()?;
        Some((char::from_u32(code)?, range.end))
    };
    let first = rest.chars().next();
    let found = match first {
        Some('a') => Some(('\x07', 1)),
        Some('b') => Some(('\x08', 1)),
        Some('f') => Some(('\x0c', 1)),
        Some('n') => Some(('\n', 1)),
        Some('r') => Some(('\r', 1)),
        Some('t') => Some(('\t', 1)),
        Some('v') => Some(('\x0b', 1)),
        Some(same @ ('\\' | '?' | '"' | '\'' | '`')) => Some((same, 1)),
        Some('x' | 'X') => numeric(1..3, 16),
        Some('u') => numeric(1..5, 16),
        Some('U') => numeric(1..9, 16),
        Some('0'..='3') => numeric(0..3, 8),
        _ => None,
    };
    found.ok_or_else(|| {
        let end = offset + 1 + first.map_or(0, char::len_utf8);
        let message = "an escape that means nothing";
        Mistake::new(offset..end, message)
            .help("`\\\\` is a backslash; r\"..\" takes them as they are")
    })
}
