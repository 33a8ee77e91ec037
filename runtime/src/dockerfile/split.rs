//! A logical line, split as each instruction wants it.

/// Blanks between words; no other white space separates.
const BLANKS: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

/// Words between blanks, as they are.
pub(super) fn blanks(text: &str) -> Vec<String> {
    let words = text.split(BLANKS).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// The first word, and what is behind the blanks after it.
pub(super) fn first(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once(BLANKS)?;
    Some((word, rest.trim_start_matches(BLANKS)))
}

/// Words that may have quotes, kept with their quotes and escapes (`NAME="a b" NAME=a\ b`).
pub(super) fn quoted(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        let escapes = c == escape && quote != Some('\'');
        if escapes {
            // One at the very end says nothing.
            let Some(next) = chars.next() else { break };
            word.push(c);
            word.push(next);
        } else {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// `[ "a", "b" ]`: what there is in it. `Err` for a list that has other things than texts.
pub(super) fn json(text: &str) -> Result<Option<Vec<String>>, ()> {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else {
        return Ok(None);
    };
    let texts = values.into_iter().map(|value| match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(()),
    });
    texts.collect::<Result<_, _>>().map(Some)
}
