//! The part of a source that a snippet shows.
//!
//! The renderer looks at every character it is given, so that it is given little: the lines of a diagnostic's places when
//! they are near each other, or the neighbourhood of one place when its line is very long.

use std::{borrow::Cow, ops::Range};

use crate::{Source, Span};

/// A run of lines with more bytes than this is not shown as one.
const WINDOW_BYTES: usize = 8 * 1024;

/// Lines further apart than this are not shown as one run.
const WINDOW_LINES: usize = 40;

/// Bytes around a place that are kept of a very long line.
const AROUND: usize = 512;

const CUT: &str = "…";

/// Some text of a source, and where it was taken from.
#[derive(Debug)]
pub(super) struct Excerpt<'s> {
    pub(super) text: Cow<'s, str>,
    /// The number of its first line.
    pub(super) line: usize,
    /// The source's bytes in `text`, behind a cut mark of `lead` bytes.
    taken: Span,
    lead: usize,
}

impl<'s> Excerpt<'s> {
    /// All lines from the first to the last of some places; `None` when that is too much to show, or they are not in
    /// one file.
    pub(super) fn of_lines(source: &'s Source, spans: &[Span]) -> Option<Self> {
        let start = spans.iter().map(|span| span.start).min()?;
        let end = spans.iter().map(|span| span.start).max()?;
        if !source.is_same_file(start, end) {
            return None;
        }
        let (first, last) = (source.position(start).line, source.position(end).line);
        let taken = Span::new(
            source.line_span(start, 0).start,
            source.line_span(end, 0).end,
        );
        let small = last - first <= WINDOW_LINES && taken.end - taken.start <= WINDOW_BYTES;
        small.then(|| Self {
            text: Cow::Borrowed(&source.text()[taken.start..taken.end]),
            line: first,
            taken,
            lead: 0,
        })
    }

    /// The line of one place, or its neighbourhood.
    pub(super) fn around(source: &'s Source, span: Span) -> Self {
        if let Some(excerpt) = Self::of_lines(source, &[span]) {
            return excerpt;
        }
        let line = source.line_span(span.start, 0);
        let start = source.floor(span.start.saturating_sub(AROUND).max(line.start));
        let end = source.floor((span.start + AROUND).min(line.end));
        let (before, after) = (start > line.start, end < line.end);
        let text = [
            if before { CUT } else { "" },
            &source.text()[start..end],
            if after { CUT } else { "" },
        ]
        .concat();
        let lead = if before { CUT.len() } else { 0 };
        Self {
            text: Cow::Owned(text),
            line: source.position(span.start).line,
            taken: Span::new(start, end),
            lead,
        }
    }

    /// Whether the start of the first line is missing.
    pub(super) const fn is_cut(&self) -> bool {
        self.lead > 0
    }

    /// A place in `text`. One that reaches over lines is cut at the end of its first: the rest tells nothing new.
    pub(super) fn range(&self, source: &Source, span: Span) -> Range<usize> {
        let line = source.line_span(span.start, 0);
        let start = span.start.clamp(
            self.taken.start,
            self.taken.end.min(line.end.max(self.taken.start)),
        );
        let end = span.end.min(line.end).min(self.taken.end).max(start);
        start - self.taken.start + self.lead..end - self.taken.start + self.lead
    }
}
