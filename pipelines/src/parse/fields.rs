//! Keys that are not read: unknown ones, known ones at the wrong place, and those that are not carried out yet.

use super::{
    keys::{ADVICE, ALL, HABITS, Keys},
    suggest::closest,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    yaml::Entry,
};

/// Reports an entry whose key is none of `keys.known`. The answer is the key that was probably meant, so that it is not
/// called missing too.
pub(super) fn reject(
    entry: &Entry,
    keys: &Keys,
    diagnostics: &mut Diagnostics,
) -> Option<&'static str> {
    let key = &*entry.key.text;
    let (diagnostic, meant) = if keys.later.contains(&key) {
        let message = format!("{} of {} is not supported yet", quoted(key), keys.what);
        (
            Diagnostic::new(Code::NotYet, entry.key.span, message)
                .help("remove it: this version cannot carry it out"),
            None,
        )
    } else {
        let message = format!("{} has no key {}", keys.what, quoted(key));
        let diagnostic = Diagnostic::new(Code::UnknownKey, entry.key.span, message);
        if diagnostics.wants_suggestions() {
            suggest(diagnostic, key, keys)
        } else {
            (diagnostic, None)
        }
    };
    diagnostics.push(diagnostic);
    meant
}

fn suggest(diagnostic: Diagnostic, key: &str, keys: &Keys) -> (Diagnostic, Option<&'static str>) {
    if let Some((_, advice)) = ADVICE.iter().find(|(habit, _)| *habit == key) {
        return (diagnostic.help(*advice), None);
    }
    if let Some(owner) = ALL
        .iter()
        .find(|other| other.known.contains(&key) || other.later.contains(&key))
    {
        return (
            diagnostic.help(format!("{} is a key of {}", quoted(key), owner.what)),
            None,
        );
    }
    let own = || keys.known.iter().chain(keys.later).copied();
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
        Some(ours) if keys.known.contains(&ours) => {
            diagnostic.label(format!("did you mean `{ours}`?"))
        }
        Some(ours) => diagnostic
            .label(format!("this is `{ours}` here"))
            .help(format!("`{ours}` is not supported yet")),
        None => diagnostic.help(format!(
            "the keys of {} are {}",
            keys.what,
            listed(keys.known)
        )),
    };
    (diagnostic, ours)
}

fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
