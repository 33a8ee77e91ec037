//! The keys that pipeline, job and step have in common.

use super::{duration::duration, env::env, shell::shell, value::Field};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    syntax::{
        Settings, Spanned,
        text::{is_image, is_user},
    },
    yaml::Entry,
};

/// Reads an entry into `settings`; `false` when its key is none of the shared ones.
pub(super) fn read(settings: &mut Settings, entry: &Entry, diagnostics: &mut Diagnostics) -> bool {
    let field = Field::of(entry);
    match field.key {
        // A stand-in on error: a step whose image is wrong is not a step without one.
        "image" => {
            settings.image =
                Some(image(field, diagnostics).unwrap_or(Spanned::new(String::new(), field.span)))
        }
        "env" => settings.env = env(field, diagnostics),
        "shell" => settings.shell = shell(field, diagnostics),
        "workdir" => settings.workdir = workdir(field, diagnostics),
        "user" => settings.user = user(field, diagnostics),
        "timeout" => settings.timeout = duration(field, diagnostics),
        _ => return false,
    }
    true
}

fn image(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
    let text = field.text(diagnostics)?;
    if is_image(&text.value) {
        return Some(Spanned::new(text.value.to_string(), text.span));
    }
    let message = format!("{} is not an image reference", quoted(&text.value));
    diagnostics.push(
        Diagnostic::new(Code::BadImage, field.span, message)
            .help("write one without white space, such as `debian:bookworm`, or `host` for this machine's own files"),
    );
    None
}

fn workdir(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = field.text(diagnostics)?;
    if !text.value.trim().is_empty() {
        return Some(text.value.to_string());
    }
    diagnostics.push(
        Diagnostic::new(Code::BadWorkdir, field.span, "`workdir` is empty")
            .help("write `.` for the workspace, or remove it"),
    );
    None
}

fn user(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = field.text(diagnostics)?;
    if is_user(&text.value) {
        return Some(text.value.to_string());
    }
    let message = format!("{} is not a user", quoted(&text.value));
    diagnostics.push(
        Diagnostic::new(Code::BadUser, field.span, message)
            .help("write a name or number, with or without a group: `1000:1000`"),
    );
    None
}
