//! Keys that are not read: unknown ones, and known ones at the wrong place.

use super::{
    habits::{ADVICE, HABITS},
    keys::Vocabulary,
    shared,
    suggest::closest,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    yaml::Entry,
};

/// Reports an entry whose key is none of `keys`. The answer is the key that was probably meant, so that it is not
/// called missing too.
pub(super) fn reject(
    entry: &Entry,
    keys: &dyn Vocabulary,
    diagnostics: &mut Diagnostics,
) -> Option<&'static str> {
    let key = &*entry.key.text;
    let message = format!("{} has no key {}", keys.what(), quoted(key));
    let diagnostic = Diagnostic::new(Code::UnknownKey, entry.key.span, message);
    let (diagnostic, meant) = if diagnostics.wants_suggestions() {
        suggest(diagnostic, key, keys)
    } else {
        (diagnostic, None)
    };
    diagnostics.push(diagnostic);
    meant
}

fn suggest(
    diagnostic: Diagnostic,
    key: &str,
    keys: &dyn Vocabulary,
) -> (Diagnostic, Option<&'static str>) {
    let known: Vec<&'static str> = keys.rows().iter().map(|row| row.name).collect();
    if let Some((_, advice)) = ADVICE.iter().find(|(habit, _)| *habit == key) {
        return (diagnostic.help(*advice), None);
    }
    if let Some(owner) = shared::LEVELS.iter().find(|other| other.has(key)) {
        return (
            diagnostic.help(format!("{} is a key of {}", quoted(key), owner.what())),
            None,
        );
    }
    let own = || known.iter().copied();
    let habits = HABITS
        .iter()
        .filter(|(_, ours)| own().any(|known| known == *ours));
    let meant = closest(key, own().chain(habits.clone().map(|(habit, _)| *habit)));
    let ours = meant.map(|meant| {
        habits
            .clone()
            .find(|(habit, _)| *habit == meant)
            .map_or(meant, |(_, ours)| *ours)
    });
    let diagnostic = match ours {
        Some(ours) => diagnostic.label(format!("did you mean `{ours}`?")),
        None => diagnostic.help(format!(
            "the keys of {} are {}",
            keys.what(),
            listed(&known)
        )),
    };
    (diagnostic, ours)
}

fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
