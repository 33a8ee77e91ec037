//! `shell`: what a script is handed to.
//!
//! A list is an argument vector, taken as it is. A string is one program; the shells that know `-e` get it, because a
//! script whose second line runs after its first one failed surprises everybody.

use super::{
    shape::{Shape, Type},
    value::Field,
};
use crate::{
    Code, Diagnostic, Span,
    diagnostic::Diagnostics,
    syntax::{Spanned, Text},
};

/// Programs that stop at the first failing command when they are given `-e`.
const POSIX_SHELLS: [&str; 7] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh"];

pub(super) const SHELL: Type<Option<Spanned<Vec<Text>>>> = Type {
    words: "[shell](#shells)",
    shape: Shape::Either(&[Shape::LiteralLike(r"^\s*\S+\s*$"), Shape::Arguments]),
    read: shell,
};

fn shell(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Spanned<Vec<Text>>> {
    let argv = if let Some(items) = field.items() {
        let words: Vec<_> = items
            .iter()
            .map(|item| field.item(item).template(diagnostics))
            .collect();
        let words = words.into_iter().collect::<Option<Vec<_>>>()?;
        if words
            .first()
            .is_none_or(|program| program.as_str().trim().is_empty())
        {
            diagnostics.push(
                bad(field.span, "`shell` names no program").help("write a program, such as `bash`"),
            );
            return None;
        }
        words
    } else {
        let text = field.literal(diagnostics)?;
        let words: Vec<&str> = text.value.split_whitespace().collect();
        match words.as_slice() {
            [] => {
                diagnostics.push(
                    bad(field.span, "`shell` is empty").help("write a program, such as `bash`"),
                );
                return None;
            }
            [program] => of_program(program, field.span),
            words => {
                let message = "`shell` as a string is one program without arguments";
                diagnostics.push(
                    bad(field.span, message).help(format!("write a list: [{}]", words.join(", "))),
                );
                return None;
            }
        }
    };
    Some(Spanned::new(argv, field.span))
}

fn of_program(program: &str, span: Span) -> Vec<Text> {
    let name = program.rsplit('/').next().unwrap_or(program);
    let mut argv = vec![Text::given(program, span)];
    if POSIX_SHELLS.contains(&name) {
        argv.push(Text::given("-e", span));
    }
    argv
}

fn bad(span: Span, message: &str) -> Diagnostic {
    Diagnostic::new(Code::BadShell, span, message)
}
