use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::excerpt::Excerpt;
use crate::{Diagnostic, Severity, Source, Span, diagnostic::printable, limits};

/// Diagnostics as a person reads them: code and message, place, the line with carets, help.
///
/// ```text
/// error[unknown-key]: a step has no key `comands`
///   --> .pipeline.yml:3:5
///    |
///  3 |   - comands: make
///    |     ^^^^^^^ did you mean `run`?
/// ```
/// The first 100 are shown and the others counted. Ends with a line break unless it is empty. With `colour`, contains
/// ANSI escape sequences; the file's own control characters never come through.
#[must_use]
pub fn human(source: &Source, diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut output = String::new();
    for diagnostic in diagnostics.iter().take(limits::DIAGNOSTICS_SHOWN) {
        output.push_str(&renderer.render(&[group(source, diagnostic)]));
        output.push_str("\n\n");
    }
    output.truncate(output.trim_end_matches('\n').len());
    if !output.is_empty() {
        output.push('\n');
    }
    let more = diagnostics.len().saturating_sub(limits::DIAGNOSTICS_SHOWN);
    if more > 0 {
        let at_least = if diagnostics.len() >= limits::DIAGNOSTICS_KEPT {
            "at least "
        } else {
            ""
        };
        output.push_str(&format!("\n.. and {at_least}{more} more\n"));
    }
    output
}

fn group<'s>(source: &'s Source, diagnostic: &'s Diagnostic) -> Group<'s> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(
        level
            .primary_title(diagnostic.message.as_str())
            .id(diagnostic.code.as_str()),
    );
    let spans: Vec<Span> = std::iter::once(diagnostic.span)
        .chain(diagnostic.related.iter().map(|related| related.span))
        .collect();
    if let Some(excerpt) = Excerpt::of_lines(source, &spans) {
        let mut snippet = snippet(&excerpt)
            .path(name(source, diagnostic.span))
            .annotation(primary(source, &excerpt, diagnostic));
        for related in &diagnostic.related {
            snippet = snippet.annotation(context(source, &excerpt, related.span, &related.message));
        }
        group = group.element(snippet);
    } else {
        let excerpt = Excerpt::around(source, diagnostic.span);
        let annotation = primary(source, &excerpt, diagnostic);
        group = single(group, source, &excerpt, diagnostic.span, annotation);
        for related in &diagnostic.related {
            let excerpt = Excerpt::around(source, related.span);
            let annotation = context(source, &excerpt, related.span, &related.message);
            group = single(group, source, &excerpt, related.span, annotation);
        }
    }
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

/// Shows one place by itself. The renderer counts columns in what it is given, which is wrong when a line was cut: then
/// the place is written on its own.
fn single<'s>(
    group: Group<'s>,
    source: &'s Source,
    excerpt: &Excerpt<'s>,
    span: Span,
    annotation: Annotation<'s>,
) -> Group<'s> {
    let snippet = snippet(excerpt).annotation(annotation);
    let name = name(source, span);
    if !excerpt.is_cut() {
        return group.element(snippet.path(name));
    }
    let position = source.position(span.start);
    group
        .element(
            Origin::path(name)
                .line(position.line)
                .char_column(position.column),
        )
        .element(snippet)
}

/// The name of the file that a place is in, fit for a terminal.
fn name(source: &Source, span: Span) -> String {
    printable(source.name_at(span.start))
}

type Annotation<'s> = annotate_snippets::Annotation<'s>;

fn snippet<'s>(excerpt: &Excerpt<'s>) -> Snippet<'s, Annotation<'s>> {
    Snippet::source(excerpt.text.clone()).line_start(excerpt.line)
}

fn primary<'s>(
    source: &Source,
    excerpt: &Excerpt<'_>,
    diagnostic: &'s Diagnostic,
) -> Annotation<'s> {
    let annotation = AnnotationKind::Primary.span(excerpt.range(source, diagnostic.span));
    annotation.label(diagnostic.label.as_deref())
}

fn context<'s>(
    source: &Source,
    excerpt: &Excerpt<'_>,
    span: Span,
    message: &'s str,
) -> Annotation<'s> {
    let annotation = AnnotationKind::Context.span(excerpt.range(source, span));
    annotation.label((!message.is_empty()).then_some(message))
}
