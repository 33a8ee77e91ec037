//! From bytes of a scalar's value back to bytes of the file.

use std::ops::Range;

use crate::{diagnostic::Diagnostics, source::Span};

/// A scalar of the file: its value, and where it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar<'n> {
    /// The value, quotes and indentation taken away.
    pub(crate) value: &'n str,
    /// Where it is written, quotes included.
    pub(crate) span: Span,
}

/// What every template's expression starts with.
const OPENING: &str = "${{";

impl Scalar<'_> {
    /// As [`Self::locate`], in the text that diagnostics are about.
    pub(crate) fn locate_in(self, diagnostics: &Diagnostics<'_>, range: Range<usize>) -> Span {
        self.locate(diagnostics.text(), range)
    }

    /// Where bytes of the value are written. As close as can be told: a scalar that is written as it reads has every
    /// byte in its place; in one with escapes or indentation the expressions are counted off, and one that spans lines
    /// is pointed at as a whole.
    pub(crate) fn locate(self, text: &str, range: Range<usize>) -> Span {
        let Some(written) = text.get(self.span.start..self.span.end) else {
            return self.span;
        };
        let exact = |at: usize| {
            let start = self.span.start + at;
            Span::new(start + range.start, start + range.end)
        };
        if let Some(at) = written.find(self.value) {
            return exact(at);
        }
        let before = self.value.get(..range.start).unwrap_or_default();
        // The opening itself may be what the range starts with.
        let inside = self.value.get(range.start..).unwrap_or_default();
        let count = before.matches(OPENING).count() + usize::from(inside.starts_with(OPENING));
        let Some(number) = count.checked_sub(1) else {
            return self.span;
        };
        let (Some((in_value, _)), Some((in_file, _))) = (
            self.value.match_indices(OPENING).nth(number),
            written.match_indices(OPENING).nth(number),
        ) else {
            return self.span;
        };
        let length = range.end.saturating_sub(in_value);
        let same = self.value.get(in_value..in_value + length)
            == written.get(in_file..in_file.saturating_add(length));
        let start = self.span.start + in_file;
        if same {
            return Span::new(start + (range.start - in_value), start + length);
        }
        let end = written[in_file..]
            .find("}}")
            .map_or(self.span.end, |end| start + end + 2);
        Span::new(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file's text at what `needle` is in the value.
    fn written(file: &str, value: &str, needle: &str) -> String {
        let scalar = Scalar {
            value,
            span: Span::new(0, file.len()),
        };
        let start = value.find(needle).unwrap();
        let span = scalar.locate(file, start..start + needle.len());
        file[span.start..span.end].to_owned()
    }

    #[test]
    fn a_value_that_is_written_as_it_reads_is_exact() {
        assert_eq!(written("\"a ${{ x }}\"", "a ${{ x }}", "x"), "x");
        assert_eq!(written("branch == 1", "branch == 1", "== 1"), "== 1");
    }

    #[test]
    fn escapes_and_indentation_are_counted_around() {
        let file = "\"\\t${{ a }} ${{ bad }}\"";
        assert_eq!(written(file, "\t${{ a }} ${{ bad }}", "bad"), "bad");
        let file = "|\n    one ${{ a }}\n    two ${{ b }}\n";
        assert_eq!(written(file, "one ${{ a }}\ntwo ${{ b }}\n", "b"), "b");
        assert_eq!(
            written(file, "one ${{ a }}\ntwo ${{ b }}\n", "${{ b }}"),
            "${{ b }}"
        );
    }

    #[test]
    fn an_expression_over_lines_is_pointed_at_whole() {
        let file = "|\n    ${{ a +\n       b }}\n";
        assert_eq!(
            written(file, "${{ a +\n   b }}\n", "b }}"),
            "${{ a +\n       b }}"
        );
    }
}
