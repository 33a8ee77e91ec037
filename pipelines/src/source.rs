//! The text of a pipeline and places in it.

use serde::Serialize;

use crate::limits;

/// A range of bytes in a source's text, end exclusive, both ends on character boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

impl Span {
    /// A span from its two ends.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Whether the span covers no byte, only a place between two.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// A place as an editor counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// What was wrong with the bytes before they could be read as YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Bytes of the file; nothing of it is kept.
    TooLarge(usize),
    /// Offset of the first byte that is not UTF-8.
    NotUtf8(usize),
}

/// A pipeline file: the name it is shown under and its text. May hold anything, binary junk included.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    text: String,
    line_starts: Vec<usize>,
    defect: Option<Defect>,
}

impl Source {
    /// Takes the bytes of a file, as they are, and the name to show for it, for example `.pipeline.yml`.
    ///
    /// Bytes that are not UTF-8 are replaced by U+FFFD in [`Self::text`], and a file beyond the size limit is dropped;
    /// [`crate::compile`] reports both.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Vec<u8> = bytes.into();
        let (text, defect) = if bytes.len() > limits::FILE_BYTES {
            (String::new(), Some(Defect::TooLarge(bytes.len())))
        } else {
            match String::from_utf8(bytes) {
                Ok(text) => (text, None),
                Err(error) => {
                    let defect = Defect::NotUtf8(error.utf8_error().valid_up_to());
                    (
                        String::from_utf8_lossy(error.as_bytes()).into_owned(),
                        Some(defect),
                    )
                }
            }
        };
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            name: name.into(),
            text,
            line_starts,
            defect,
        }
    }

    /// The name the file is shown under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text that every [`Span`] points into.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte offset. An offset beyond the text or inside a character is moved back into it.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.floor(offset);
        let line = self.line_starts.partition_point(|&start| start <= offset);
        let start = self.line_starts[line - 1];
        Position {
            line,
            column: self.text[start..offset].chars().count() + 1,
        }
    }

    /// The last character boundary of the text that is not behind an offset.
    pub(crate) fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    /// The bytes of a line without its line break; `line` counts from 1 and is moved into the text.
    pub(crate) fn line_span(&self, line: usize) -> Span {
        let index = line.clamp(1, self.line_starts.len()) - 1;
        let start = self.line_starts[index];
        let end = self
            .line_starts
            .get(index + 1)
            .map_or(self.text.len(), |&next| next - 1);
        Span::new(
            start,
            start + self.text[start..end].trim_end_matches('\r').len(),
        )
    }

    pub(crate) const fn defect(&self) -> Option<Defect> {
        self.defect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_count_from_one() {
        let source = Source::new("f", "é: x\r\nb: ü y");
        assert_eq!(source.position(0), Position { line: 1, column: 1 });
        assert_eq!(source.position(3), Position { line: 1, column: 3 });
        assert_eq!(source.position(12), Position { line: 2, column: 5 });
        assert_eq!(source.position(usize::MAX), Position { line: 2, column: 7 });
        assert_eq!(
            &source.text()[source.line_span(1).start..source.line_span(1).end],
            "é: x"
        );
    }

    #[test]
    fn an_offset_inside_a_character_is_moved_to_its_start() {
        assert_eq!(
            Source::new("f", "aé").position(2),
            Position { line: 1, column: 2 }
        );
    }

    #[test]
    fn text_that_is_not_utf8_keeps_the_place_of_the_first_bad_byte() {
        let source = Source::new("f", &b"ab\xff\xfe"[..]);
        assert_eq!(source.defect(), Some(Defect::NotUtf8(2)));
        assert_eq!(source.text(), "ab\u{fffd}\u{fffd}");
    }
}
