//! What to say of a key that is not there.

use super::Mistake;
use crate::parse::closest;
use std::ops::Range;

/// Keys a suggestion is looked for among; more would make many mistakes expensive.
const CANDIDATES: usize = 64;

/// Keys that are worth listing.
const LISTED: usize = 8;

/// The mistake that a map has no such key. `path` leads to the map, where it is written out; `subject` is its text.
pub(super) fn missing<'k>(
    path: Option<&[&str]>,
    subject: &str,
    (key, range): (&str, Range<usize>),
    keys: impl Iterator<Item = &'k str> + Clone,
) -> Mistake {
    let message = match path {
        Some(["matrix"]) => format!("the matrix has no axis `{key}`"),
        Some(["env"]) => format!("the environment has no variable `{key}`"),
        Some(["inputs"]) => format!("there is no input `{key}`"),
        Some(["needs"]) => format!("this job needs no job `{key}`"),
        Some(["steps"]) => format!("no step before this is called `{key}`"),
        Some(["steps", step, "outputs"]) => format!("step `{step}` has no output `{key}`"),
        Some(["needs", job, "outputs"]) => format!("job `{job}` has no output `{key}`"),
        _ => format!("{subject} has no key `{key}`"),
    };
    let mistake = Mistake::new(range, message);
    let suggestion = closest(key, keys.clone().take(CANDIDATES));
    let listed: Vec<_> = keys.take(LISTED + 1).collect();
    match (suggestion, listed.len()) {
        (None, 1..=LISTED) => mistake.help(format!("there are: {}", listed.join(", "))),
        _ => mistake.suggest(suggestion),
    }
}
