//! What has to be true of a file's characters before YAML is considered at all.

use crate::{
    Code, Diagnostic, Source, Span,
    diagnostic::Diagnostics,
    source::{Defect, SourceFile},
};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Places of forbidden characters that are reported; a binary file has thousands.
const REPORTED: usize = 5;

/// The offset at which the YAML starts: where the file does, or behind a byte order mark. `None`, with diagnostics, when this is no text.
pub(super) fn check(
    source: &Source,
    file: &SourceFile,
    diagnostics: &mut Diagnostics,
) -> Option<usize> {
    let start = file.span.start;
    if let Some(defect) = file.defect {
        diagnostics.push(describe(defect, start, source.text()));
        return None;
    }
    let text = &source.text()[..file.span.end];
    let mut base = start;
    if text[start..].starts_with(BYTE_ORDER_MARK) {
        base += BYTE_ORDER_MARK.len_utf8();
        diagnostics.push(
            Diagnostic::new(
                Code::ByteOrderMark,
                Span::new(start, base),
                "the file starts with a byte order mark",
            )
            .help("save the file as UTF-8 without a byte order mark"),
        );
    }
    let mut clean = true;
    for (at, character) in text[base..]
        .char_indices()
        .filter(|(_, c)| !is_printable(*c))
        .take(REPORTED)
    {
        clean = false;
        let span = Span::new(base + at, base + at + character.len_utf8());
        let message = format!(
            "the file contains the character U+{:04X}, which YAML does not allow",
            u32::from(character)
        );
        diagnostics.push(Diagnostic::new(Code::ControlCharacter, span, message).help(
            "write it as an escape in double quotes, such as \"\\e\", or let the script make it",
        ));
    }
    clean.then_some(base)
}

fn describe(defect: Defect, start: usize, text: &str) -> Diagnostic {
    match defect {
        Defect::TooLarge(bytes) => {
            let message =
                format!("the file has {bytes} bytes, and a pipeline may have 1048576 (1 MiB)");
            Diagnostic::new(Code::FileTooLarge, Span::new(start, start), message)
                .help("move long scripts into files of the repository and `run` those")
        }
        Defect::NotUtf8(at) => {
            let at = start + at;
            let end = at + text[at..].chars().next().map_or(0, char::len_utf8);
            Diagnostic::new(
                Code::NotUtf8,
                Span::new(at, end),
                "the file is not UTF-8 text",
            )
            .label("the first byte that does not fit")
            .help("save the file in the encoding UTF-8")
        }
    }
}

/// YAML 1.2.2, production 1, `c-printable`, without the byte order mark, which only a file's start may have.
const fn is_printable(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}'
        | '\u{10000}'..)
}
