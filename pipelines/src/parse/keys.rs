//! Tables of keys: what may stand in one kind of mapping, of which type, and what it means.
//!
//! A table is all there is to say about a key: the parser reads what the table has and nothing else, and the JSON Schema
//! and the reference are written from the same rows (`crate::schema`). So none of them can know a key that another does
//! not. The tables stand beside the code that uses them: `job.rs` has the keys of a job.

use super::{
    fields::reject,
    shape::{Shape, Type},
    value::Field,
};
use crate::{
    Code, Diagnostic, Span,
    diagnostic::{Diagnostics, quoted},
    yaml::Entry,
};

/// The keys of one kind of mapping, which becomes a `T`.
pub(super) struct Keys<T: 'static> {
    /// What the schema and the reference call it; one word.
    pub(super) name: &'static str,
    /// What messages call it, with its article.
    pub(super) what: &'static str,
    pub(super) keys: &'static [Key<T>],
    /// What has to hold beside each key by itself.
    pub(super) rules: &'static [Rule],
    /// A pattern of other keys, and what their values are, where there may be others.
    pub(super) others: Option<(&'static str, &'static Shape)>,
    /// A pipeline in which examples of its keys can stand, in place of `KEY`. A line that ends with `# else` is for examples of
    /// other keys than its own, one with `# only KEYS` or `# unless KEYS` for those of some.
    pub(super) frame: &'static str,
}

/// A row: a key and everything there is to say about it.
pub(super) struct Key<T: 'static> {
    pub(super) name: &'static str,
    value: &'static dyn Reads<T>,
    default: &'static str,
    meaning: &'static str,
    example: &'static str,
    required: bool,
    later: bool,
}

/// What has to hold of the keys of a mapping. Checked by the code of that mapping, which has the better message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// At least one of them is there.
    Any(&'static [&'static str]),
    /// At most one of them is there.
    AtMostOne(&'static [&'static str]),
    /// All of them are there, or none.
    Together(&'static [&'static str]),
}

/// Reads a value into a `T`.
pub(super) trait Reads<T>: Sync {
    fn read(&self, into: &mut T, field: Field<'_>, diagnostics: &mut Diagnostics);
    fn words(&self) -> &'static str;
    fn shape(&self) -> &Shape;
}

/// A value of a type, and where it is put.
pub(super) struct Put<T: 'static, V: 'static>(
    pub(super) &'static Type<V>,
    pub(super) fn(&mut T, V),
);

impl<T, V> Reads<T> for Put<T, V> {
    fn read(&self, into: &mut T, field: Field<'_>, diagnostics: &mut Diagnostics) {
        (self.1)(into, (self.0.read)(field, diagnostics));
    }

    fn words(&self) -> &'static str {
        self.0.words
    }

    fn shape(&self) -> &Shape {
        &self.0.shape
    }
}

/// A row without more than a name and a type.
pub(super) const fn key<T>(name: &'static str, value: &'static dyn Reads<T>) -> Key<T> {
    Key {
        name,
        value,
        default: "",
        meaning: "",
        example: "",
        required: false,
        later: false,
    }
}

impl<T> Key<T> {
    /// What holds without the key, in Markdown.
    pub(super) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    /// What it is for: a sentence, in Markdown.
    pub(super) const fn means(mut self, meaning: &'static str) -> Self {
        self.meaning = meaning;
        self
    }

    /// The key with a value, on one line.
    pub(super) const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    /// The mapping is nothing without it. The example tells how to add it.
    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// This version cannot carry it out yet.
    pub(super) const fn later(mut self) -> Self {
        self.later = true;
        self
    }
}

/// What was found in a mapping.
#[derive(Debug, Default)]
pub(super) struct Seen {
    keys: Vec<(&'static str, Span, Span)>,
    /// Keys that were probably meant by unknown ones.
    meant: Vec<&'static str>,
}

impl Seen {
    /// Where a key stands.
    pub(super) fn key(&self, name: &str) -> Option<Span> {
        self.find(name).map(|(_, key, _)| *key)
    }

    /// Where to point to speak of a key's value.
    pub(super) fn place(&self, name: &str) -> Option<Span> {
        self.find(name).map(|(_, _, place)| *place)
    }

    /// Whether a key that was mistyped could have been this one.
    pub(super) fn meant(&self, name: &str) -> bool {
        self.meant.contains(&name)
    }

    fn find(&self, name: &str) -> Option<&(&'static str, Span, Span)> {
        self.keys.iter().find(|(key, ..)| *key == name)
    }
}

impl<T> Keys<T> {
    /// Reads a mapping, and says which keys it lacks. `None`, with an error, when the value is none.
    pub(super) fn read(
        &self,
        into: &mut T,
        field: Field<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Seen> {
        let entries = field.mapping(diagnostics)?;
        let seen = self.read_entries(into, entries, diagnostics);
        for key in self.keys.iter().filter(|key| key.required) {
            if seen.key(key.name).is_none() && !seen.meant(key.name) {
                field.lacks(key.name, key.example, diagnostics);
            }
        }
        Some(seen)
    }

    /// Reads the entries of a mapping; keys that the table does not have are mistakes.
    pub(super) fn read_entries(
        &self,
        into: &mut T,
        entries: &[Entry],
        diagnostics: &mut Diagnostics,
    ) -> Seen {
        let mut meant = Vec::new();
        let mut seen = self.read_known(into, entries, diagnostics, |_, entry, diagnostics| {
            meant.extend(reject(entry, self, diagnostics));
        });
        seen.meant = meant;
        seen
    }

    /// Reads the entries of a mapping, those that the table does not have with `other`.
    pub(super) fn read_known(
        &self,
        into: &mut T,
        entries: &[Entry],
        diagnostics: &mut Diagnostics,
        mut other: impl FnMut(&mut T, &Entry, &mut Diagnostics),
    ) -> Seen {
        let mut seen = Seen::default();
        for entry in entries {
            let Some(key) = self.keys.iter().find(|key| key.name == &*entry.key.text) else {
                other(into, entry, diagnostics);
                continue;
            };
            seen.keys.push((key.name, entry.key.span, entry.place()));
            key.value.read(into, Field::of(entry), diagnostics);
            if key.later {
                let message = format!("{} of {} is not supported yet", quoted(key.name), self.what);
                diagnostics.push(
                    Diagnostic::new(Code::NotYet, entry.key.span, message)
                        .help("remove it: this version cannot carry it out"),
                );
            }
        }
        seen
    }
}

/// A table, whatever its mapping becomes.
pub(crate) trait Vocabulary: Sync {
    /// See [`Keys::name`].
    fn name(&self) -> &'static str;
    /// See [`Keys::what`].
    fn what(&self) -> &'static str;
    /// See [`Keys::rules`].
    fn rules(&self) -> &'static [Rule];
    /// See [`Keys::others`].
    fn others(&self) -> Option<(&'static str, &'static Shape)>;
    /// See [`Keys::frame`].
    fn frame(&self) -> &'static str;
    /// The keys, in the order in which they are told.
    fn rows(&self) -> Vec<Row>;

    /// Whether it has a key.
    fn has(&self, name: &str) -> bool {
        self.rows().iter().any(|row| row.name == name)
    }
}

/// A [`Key`], without where its value goes.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) words: &'static str,
    pub(crate) shape: &'static Shape,
    pub(crate) default: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) example: &'static str,
    pub(crate) required: bool,
    pub(crate) later: bool,
}

impl<T> Vocabulary for Keys<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn what(&self) -> &'static str {
        self.what
    }

    fn rules(&self) -> &'static [Rule] {
        self.rules
    }

    fn others(&self) -> Option<(&'static str, &'static Shape)> {
        self.others
    }

    fn frame(&self) -> &'static str {
        self.frame
    }

    fn rows(&self) -> Vec<Row> {
        let rows = self.keys.iter().map(|key| {
            let value: &'static dyn Reads<T> = key.value;
            Row {
                name: key.name,
                words: value.words(),
                shape: value.shape(),
                default: key.default,
                meaning: key.meaning,
                example: key.example,
                required: key.required,
                later: key.later,
            }
        });
        rows.collect()
    }
}
