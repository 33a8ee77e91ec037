//! The parser counts characters, a span counts bytes.

use crate::source::Span;

/// Translates character indices of a text into byte offsets, in constant time.
#[derive(Debug)]
pub(super) struct Offsets<'t> {
    text: &'t str,
    /// Byte offset of every character; `None` where the two counts agree.
    bytes: Option<Vec<usize>>,
    /// Byte offset at which the parser's text starts in the source's text.
    base: usize,
}

impl<'t> Offsets<'t> {
    /// `text` is the source's text up to the end of the file, of which the parser sees what is behind byte `base`.
    pub(super) fn new(text: &'t str, base: usize) -> Self {
        let seen = &text[base..];
        let bytes =
            (!seen.is_ascii()).then(|| seen.char_indices().map(|(offset, _)| offset).collect());
        Self { text, bytes, base }
    }

    /// The byte offset of a character; an index behind the last character is the end of the text.
    pub(super) fn byte(&self, index: usize) -> usize {
        match &self.bytes {
            Some(bytes) => bytes
                .get(index)
                .map_or(self.text.len(), |offset| self.base + offset),
            None => self.base.saturating_add(index).min(self.text.len()),
        }
    }

    /// A parser's span in bytes, without the white space at its end, which the parser sometimes includes.
    pub(super) fn span(&self, span: &saphyr_parser::Span) -> Span {
        let start = self.byte(span.start.index());
        let end = self.byte(span.end.index()).max(start);
        Span::new(start, start + self.text[start..end].trim_end().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_multi_byte_text_are_on_character_boundaries() {
        let text = "\u{feff}é€x";
        let offsets = Offsets::new(text, 3);
        let found: Vec<usize> = (0..5).map(|index| offsets.byte(index)).collect();
        assert_eq!(found, [3, 5, 8, 9, 9]);
    }
}
