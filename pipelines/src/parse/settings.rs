//! Types of the keys that pipeline, job and step have in common.

use super::{
    shape::{Shape, Type},
    value::Field,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    syntax::{
        Text,
        text::{is_image, is_user},
    },
};

pub(super) const IMAGE: Type<Text> = Type {
    words: "[image](#images)",
    shape: Shape::TextLike(r"^[^\s\x00-\x1f\x7f-\x9f]+$"),
    read: image,
};

pub(super) const WORKDIR: Type<Option<Text>> = Type {
    words: "string",
    shape: Shape::TextLike(r"\S"),
    read: workdir,
};

pub(super) const USER: Type<Option<Text>> = Type {
    words: "[user](#users)",
    shape: Shape::TextLike(r"^[^\s\x00-\x1f\x7f-\x9f:/]+(:[^\s\x00-\x1f\x7f-\x9f:/]+)?$"),
    read: user,
};

/// A stand-in, with an error, when it is none: a step whose image is wrong is not a step without one.
fn image(field: Field<'_>, diagnostics: &mut Diagnostics) -> Text {
    let Some(text) = field.template(diagnostics) else {
        return Text::given("", field.span);
    };
    if !text.template.as_literal().is_none_or(is_image) {
        diagnostics.push(bad_image(&text));
    }
    text
}

/// That a text is no image reference.
pub(crate) fn bad_image(text: &Text) -> Diagnostic {
    let message = format!("{} is not an image reference", quoted(text.as_str()));
    Diagnostic::new(Code::BadImage, text.span, message)
        .help("write one without white space, such as `debian:bookworm`, or `host` for this machine's own files")
}

fn workdir(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Text> {
    let text = field.template(diagnostics)?;
    if !text.as_str().trim().is_empty() {
        return Some(text);
    }
    diagnostics.push(
        Diagnostic::new(Code::BadWorkdir, field.span, "`workdir` is empty")
            .help("write `.` for the workspace, or remove it"),
    );
    None
}

fn user(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Text> {
    let text = field.template(diagnostics)?;
    if text.template.as_literal().is_none_or(is_user) {
        return Some(text);
    }
    let message = format!("{} is not a user", quoted(text.as_str()));
    diagnostics.push(
        Diagnostic::new(Code::BadUser, field.span, message)
            .help("write a name or number, with or without a group: `1000:1000`"),
    );
    None
}
