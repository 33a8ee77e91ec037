//! Regular expressions, as RE2 writes them: matching takes time in proportion to the text.

use std::ops::Range;

use regex_lite::RegexBuilder;

use crate::{
    expression::{EvaluateErrorKind, error::Failure},
    limits,
};

/// Steps of a match. The compiled form of a pattern has at most some hundred states, all of which can be alive at once.
pub(super) fn cost(text: &str, pattern: &str) -> u64 {
    let states = (pattern.len() * 8).min(limits::REGEX_COMPILED_BYTES / 32);
    100 + text.len() as u64 * (states as u64 / 16 + 1) / 8
}

/// Whether a pattern is found anywhere in a text.
pub(super) fn matches(text: &str, pattern: &str, range: &Range<usize>) -> Result<bool, Failure> {
    if pattern.len() > limits::REGEX_BYTES {
        let message = format!("it is longer than {} bytes", limits::REGEX_BYTES);
        return Err(Failure::new(range, EvaluateErrorKind::Regex(message)));
    }
    let regex = RegexBuilder::new(pattern)
        .size_limit(limits::REGEX_COMPILED_BYTES)
        .build();
    let regex =
        regex.map_err(|error| Failure::new(range, EvaluateErrorKind::Regex(error.to_string())))?;
    Ok(regex.is_match(text))
}
