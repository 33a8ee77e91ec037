use std::sync::Arc;

use super::patterns::Patterns;
use super::{MARK, Masks};

/// Masks one stream, however it is cut into pieces.
#[derive(Debug)]
pub struct Masker {
    masks: Arc<Masks>,
    patterns: Arc<Patterns>,
    generation: u64,
    /// What has not been let out: it could be the beginning of something.
    held: Vec<u8>,
    /// Bytes at its start that belong to something whose mark is out already.
    covered: usize,
}

impl Masker {
    /// A masker at the start of a stream.
    #[must_use]
    pub fn new(masks: Arc<Masks>) -> Self {
        Self {
            generation: masks.generation(),
            patterns: masks.current(),
            masks,
            held: Vec::new(),
            covered: 0,
        }
    }

    /// What it masks by.
    #[must_use]
    pub const fn masks(&self) -> &Arc<Masks> {
        &self.masks
    }

    /// Whether what goes in comes out as it is: nothing is masked in this run yet.
    pub fn is_transparent(&mut self) -> bool {
        self.refresh();
        self.patterns.is_empty()
    }

    /// Takes a piece, and gives what can be shown by now.
    #[must_use]
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.refresh();
        self.held.extend_from_slice(bytes);
        let until = self.patterns.unfinished(&self.held);
        self.let_out(until)
    }

    /// The rest, at the end of the stream.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        self.refresh();
        self.let_out(self.held.len())
    }

    fn refresh(&mut self) {
        let generation = self.masks.generation();
        if generation != self.generation {
            self.generation = generation;
            self.patterns = self.masks.current();
        }
    }

    /// Lets out what is held before `until`. No match that is not complete yet starts there.
    fn let_out(&mut self, until: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(until);
        // Behind what is out or covered.
        let mut at = self.covered.min(until);
        let mut covered = self.covered;
        for (start, end) in self.patterns.find(&self.held) {
            if start >= until {
                break;
            }
            if start >= covered {
                out.extend_from_slice(&self.held[at..start]);
                out.extend_from_slice(MARK);
            }
            covered = covered.max(end);
            at = covered.min(until);
        }
        out.extend_from_slice(&self.held[at..until]);
        self.held.drain(..until);
        self.covered = covered.saturating_sub(until);
        out
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{Masker, Masks};

    fn masks(values: &[&str]) -> Arc<Masks> {
        let masks = Arc::new(Masks::default());
        masks
            .add(values.iter().map(|value| value.as_bytes()))
            .unwrap();
        masks
    }

    fn fed(masks: &Arc<Masks>, pieces: &[&[u8]]) -> Vec<String> {
        let mut masker = Masker::new(Arc::clone(masks));
        let mut out: Vec<Vec<u8>> = pieces.iter().map(|piece| masker.feed(piece)).collect();
        out.push(masker.finish());
        out.into_iter()
            .map(|piece| String::from_utf8_lossy(&piece).into_owned())
            .collect()
    }

    #[test]
    fn a_value_is_masked_over_any_cut_and_nothing_else_waits() {
        let masks = masks(&["hunter22"]);
        assert_eq!(fed(&masks, &[b"a hunt", b"er22 b"]), ["a ", "*** b", ""]);
        assert_eq!(fed(&masks, &[b"hunter", b"s"]), ["", "hunters", ""]);
        // A prompt is shown at once, and what was held comes out at the end.
        assert_eq!(
            fed(&masks, &[b"name: ", b"hunter"]),
            ["name: ", "", "hunter"]
        );
    }

    #[test]
    fn overlapping_and_nested_values_leave_nothing() {
        let masks = masks(&["abcdef", "defghi", "abcdefghijkl"]);
        assert_eq!(fed(&masks, &[b"<abcdefghi>"]), ["<***>", ""]);
        assert_eq!(fed(&masks, &[b"<abcdefg", b"hijkl>"]), ["<", "***>", ""]);
        assert_eq!(fed(&masks, &[b"abcdefabcdef"]).concat(), "******");
        let masks = self::masks(&["aaaa"]);
        assert_eq!(fed(&masks, &[b"aaaaaa", b"aa", b"b"]).concat(), "***b");
    }

    #[test]
    fn a_value_that_becomes_known_is_masked_from_then_on() {
        let masks = Arc::new(Masks::default());
        let mut masker = Masker::new(Arc::clone(&masks));
        assert!(masker.is_transparent());
        masks.add([&b"fresh-token"[..]]).unwrap();
        assert!(!masker.is_transparent());
        assert_eq!(masker.feed(b"x fresh-token y"), b"x *** y");
    }

    #[test]
    fn a_long_value_is_masked_whole_and_in_parts() {
        let long: String = (0..2_000)
            .map(|n| char::from(b'a' + u8::try_from(n * n % 26).unwrap()))
            .collect();
        let masks = masks(&[&long]);
        let shown = fed(
            &masks,
            &[b"<", &long.as_bytes()[..700], &long.as_bytes()[700..], b">"],
        );
        let shown = shown.concat();
        assert!(
            shown.starts_with("<***") && shown.ends_with("***>"),
            "{shown}"
        );
        assert!(
            shown[1..shown.len() - 1].bytes().all(|byte| byte == b'*'),
            "{shown}"
        );
    }

    /// Everything that is covered by an occurrence, found the slow way.
    fn hidden(text: &[u8], values: &[Vec<u8>]) -> Vec<u8> {
        let mut covered = vec![false; text.len()];
        let mut starts = vec![false; text.len()];
        for value in values {
            for at in 0..=text.len().saturating_sub(value.len()) {
                if text[at..].starts_with(value) {
                    covered[at..at + value.len()].fill(true);
                    starts[at] = true;
                }
            }
        }
        // A mark for each run of occurrences that overlap.
        let mut out = Vec::new();
        let mut end = 0;
        for at in 0..text.len() {
            if !covered[at] {
                out.push(text[at]);
            } else if starts[at] {
                if at >= end {
                    out.extend(b"***");
                }
                let longest = values
                    .iter()
                    .filter(|value| text[at..].starts_with(value))
                    .map(Vec::len)
                    .max();
                end = end.max(at + longest.unwrap_or(0));
            }
        }
        out
    }

    proptest! {
        #[test]
        fn any_cut_gives_what_the_whole_gives(
            values in proptest::collection::vec("[ab]{4,7}", 1..4),
            pieces in proptest::collection::vec("[abc]{0,12}", 0..10),
        ) {
            let values: Vec<Vec<u8>> = values.into_iter().map(String::into_bytes).collect();
            let patterns = super::Patterns::default().with(values.clone()).unwrap();
            let mut masker = Masker::new(Arc::new(Masks::default()));
            masker.patterns = Arc::new(patterns);
            let mut out = Vec::new();
            for piece in &pieces {
                out.extend(masker.feed(piece.as_bytes()));
            }
            out.extend(masker.finish());
            let expected = hidden(pieces.concat().as_bytes(), &values);
            prop_assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(expected).unwrap());
        }
    }
}
