//! Mistakes behind which nothing of a file can be understood.

use saphyr_parser::ScanError;

use super::{anchors::Refused, offsets::Offsets};
use crate::{Code, Diagnostic, Source, Span, limits};

/// An alias or merge key that cannot be expanded.
pub(super) fn refusal(span: Span, refused: Refused) -> Diagnostic {
    match refused {
        Refused::Recursive => Diagnostic::new(
            Code::YamlSyntax,
            span,
            "an alias refers to the value it stands in",
        ),
        Refused::TooMuch => Diagnostic::new(
            Code::TooComplex,
            span,
            "the aliases of this file expand to more than 4 MiB",
        ),
    }
}

/// How the parser says that its own bound on brackets (255) was crossed before any event came to be counted here.
const PARSER_DEPTH: &str = "recursion limit exceeded";

/// What the parser refused, with help for the two mistakes that everybody makes.
pub(super) fn syntax_error(
    source: &Source,
    offsets: &Offsets<'_>,
    error: &ScanError,
) -> Diagnostic {
    let at = offsets.byte(error.marker().index());
    if error.info() == PARSER_DEPTH {
        return too_deep(Span::new(at, at));
    }
    let line = source.line_span(at, 0);
    let text = &source.text()[line.start..line.end];
    let at = at.min(line.end);
    let end = at
        + source.text()[at..line.end]
            .chars()
            .next()
            .map_or(0, char::len_utf8);
    let diagnostic = Diagnostic::new(
        Code::YamlSyntax,
        Span::new(at, end),
        format!("invalid YAML: {}", error.info()),
    );
    let next = source.line_span(at, 1);
    if is_indented_with_tab(text) || is_indented_with_tab(&source.text()[next.start..next.end]) {
        diagnostic.help("YAML is indented with spaces, never with tabs")
    } else if text.matches(": ").count() > 1 {
        diagnostic.help(
            "a value that contains `: ` has to be quoted, or written below the key after a `|`",
        )
    } else {
        diagnostic
    }
}

/// The bound on depth is crossed.
pub(super) fn too_deep(span: Span) -> Diagnostic {
    let message = format!(
        "lists and mappings are nested more than {} levels deep",
        limits::DEPTH
    );
    Diagnostic::new(Code::TooComplex, span, message)
}

fn is_indented_with_tab(line: &str) -> bool {
    line[..line.len() - line.trim_start().len()].contains('\t')
}
