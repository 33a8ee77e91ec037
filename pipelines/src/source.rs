//! The text of a pipeline and places in it.

use serde::Serialize;

use crate::{Inclusion, limits};

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
    /// Offset in the file of the first byte that is not UTF-8.
    NotUtf8(usize),
}

/// A pipeline file and the files that it includes. May hold anything, binary junk included.
///
/// All texts stand one behind the other in [`Self::text`], so that a [`Span`] alone tells file and place.
#[derive(Debug, Clone)]
pub struct Source {
    text: String,
    /// The pipeline first. Sorted by place; never empty.
    files: Vec<SourceFile>,
    /// Why files that were asked for are not there.
    absent: Vec<(Inclusion, String)>,
}

/// One file of a source.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    name: String,
    /// `None` is the pipeline itself.
    inclusion: Option<Inclusion>,
    /// Its bytes in the source's text.
    pub(crate) span: Span,
    /// In the source's text.
    line_starts: Vec<usize>,
    pub(crate) defect: Option<Defect>,
}

impl Source {
    /// Takes the bytes of a file, as they are, and the name to show for it, for example `.pipeline.yml`.
    ///
    /// Bytes that are not UTF-8 are replaced by U+FFFD in [`Self::text`], and a file beyond the size limit is dropped;
    /// [`crate::compile`] reports both.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let mut source = Self {
            text: String::new(),
            files: Vec::new(),
            absent: Vec::new(),
        };
        source.push(name.into(), None, bytes.into());
        source
    }

    /// Adds an included file, or the reason why it cannot be had.
    pub(crate) fn include(&mut self, inclusion: &Inclusion, content: Result<Vec<u8>, String>) {
        match content {
            Ok(bytes) => {
                // What the last file ends with and this one starts with are different places.
                self.text.push('\n');
                self.push(inclusion.to_string(), Some(inclusion.clone()), bytes);
            }
            Err(reason) => self.absent.push((inclusion.clone(), reason)),
        }
    }

    fn push(&mut self, name: String, inclusion: Option<Inclusion>, bytes: Vec<u8>) {
        let (text, defect) = decode(bytes);
        let start = self.text.len();
        let breaks = text.match_indices('\n').map(|(at, _)| start + at + 1);
        self.files.push(SourceFile {
            name,
            inclusion,
            span: Span::new(start, start + text.len()),
            line_starts: std::iter::once(start).chain(breaks).collect(),
            defect,
        });
        self.text.push_str(&text);
    }

    /// The name the pipeline is shown under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.files[0].name
    }

    /// The name of the file that holds a byte offset.
    #[must_use]
    pub fn name_at(&self, offset: usize) -> &str {
        &self.file_at(offset).name
    }

    /// The text that every [`Span`] points into.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte offset in its file. An offset beyond the text or inside a character is moved back into
    /// it.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.floor(offset);
        let file = self.file_at(offset);
        let line = file.line(offset);
        let start = file.line_starts[line - 1];
        Position {
            line,
            column: self.text[start..offset].chars().count() + 1,
        }
    }

    /// The pipeline itself.
    pub(crate) fn root(&self) -> &SourceFile {
        &self.files[0]
    }

    /// An included file, or the reason why it is not there; `None` when nobody has asked for it.
    pub(crate) fn included(&self, inclusion: &Inclusion) -> Option<Result<&SourceFile, &str>> {
        let file = self
            .files
            .iter()
            .find(|file| file.inclusion.as_ref() == Some(inclusion));
        let absent = || self.absent.iter().find(|(absent, _)| absent == inclusion);
        file.map(Ok)
            .or_else(|| absent().map(|(_, reason)| Err(&**reason)))
    }

    /// Bytes of all files.
    pub(crate) const fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether two offsets are in the same file.
    pub(crate) fn is_same_file(&self, one: usize, other: usize) -> bool {
        self.file_at(one).span == self.file_at(other).span
    }

    /// The last character boundary of the text that is not behind an offset.
    pub(crate) fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    /// The bytes of the line that holds an offset, or of a line `below` it in the same file, without its line break;
    /// the last line when there are not that many.
    pub(crate) fn line_span(&self, offset: usize, below: usize) -> Span {
        let offset = self.floor(offset);
        let file = self.file_at(offset);
        let index = (file.line(offset) - 1 + below).min(file.line_starts.len() - 1);
        let start = file.line_starts[index];
        let end = file
            .line_starts
            .get(index + 1)
            .map_or(file.span.end, |&next| next - 1);
        Span::new(
            start,
            start + self.text[start..end].trim_end_matches('\r').len(),
        )
    }

    fn file_at(&self, offset: usize) -> &SourceFile {
        let behind = self.files.partition_point(|file| file.span.start <= offset);
        &self.files[behind.saturating_sub(1)]
    }
}

impl SourceFile {
    /// The number of the line that holds an offset, from 1.
    fn line(&self, offset: usize) -> usize {
        self.line_starts
            .partition_point(|&start| start <= offset)
            .max(1)
    }

    /// How it was asked for; `None` is the pipeline itself.
    pub(crate) const fn inclusion(&self) -> Option<&Inclusion> {
        self.inclusion.as_ref()
    }
}

/// The text of a file, and what was wrong with its bytes.
fn decode(bytes: Vec<u8>) -> (String, Option<Defect>) {
    if bytes.len() > limits::FILE_BYTES {
        return (String::new(), Some(Defect::TooLarge(bytes.len())));
    }
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let defect = Defect::NotUtf8(error.utf8_error().valid_up_to());
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (text, Some(defect))
        }
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
            &source.text()[source.line_span(0, 0).start..source.line_span(0, 0).end],
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
        assert_eq!(source.root().defect, Some(Defect::NotUtf8(2)));
        assert_eq!(source.text(), "ab\u{fffd}\u{fffd}");
    }

    #[test]
    fn places_in_included_files_are_counted_from_their_own_start() {
        let mut source = Source::new("f", "a");
        let inclusion = Inclusion::Path("ci/b.yml".to_owned());
        source.include(&inclusion, Ok(b"x\ny\n".to_vec()));
        let at = |offset| (source.name_at(offset), source.position(offset).line);
        assert_eq!((at(0), at(1)), (("f", 1), ("f", 1)));
        assert_eq!((at(2), at(4)), (("ci/b.yml", 1), ("ci/b.yml", 2)));
        assert_eq!(at(99), ("ci/b.yml", 3));
        assert_eq!(source.line_span(1, 5), Span::new(0, 1));
        assert!(source.included(&inclusion).unwrap().is_ok());
        assert!(source.included(&Inclusion::Path("c".to_owned())).is_none());
    }
}
