//! Types that keys of several mappings have, and the mappings that lie inside each other.

use super::{
    job::JOB,
    keys::Vocabulary,
    pipeline::PIPELINE,
    shape::{Shape, Type},
    step::STEP,
    value::Field,
};
use crate::syntax::{Spanned, Text};

/// From the outside in. A key that is none where it stands is looked for in these.
pub(super) static LEVELS: [&dyn Vocabulary; 3] = [&PIPELINE, &JOB, &STEP];

/// Names of variables: letters, digits and `_`, no digit first.
pub(crate) const IDENTIFIER: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

/// Ids of jobs and services.
pub(super) const JOB_ID: &str = "^[a-z0-9][a-z0-9_-]{0,63}$";

pub(super) const BOOLEAN: Type<bool> = Type {
    words: "boolean",
    shape: Shape::Boolean,
    read: |field, diagnostics| field.boolean(diagnostics).unwrap_or_default(),
};

pub(super) const NAME: Type<Option<Spanned<String>>> = Type {
    words: "string, at most 256 characters",
    shape: Shape::LiteralLike(r"^[^\x00-\x1f\x7f-\x9f]*\S[^\x00-\x1f\x7f-\x9f]*$"),
    read: |field, diagnostics| field.name(diagnostics),
};

pub(super) const TEXT: Type<Option<Text>> = Type {
    words: "string",
    shape: Shape::Text,
    read: |field, diagnostics| field.template(diagnostics),
};

/// A list of texts, in which expressions may stand.
pub(super) const fn texts(
    words: &'static str,
    read: fn(Field<'_>, &mut crate::diagnostic::Diagnostics) -> Vec<Text>,
) -> Type<Vec<Text>> {
    Type {
        words,
        shape: Shape::list(&Shape::Text),
        read,
    }
}
