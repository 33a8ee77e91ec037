use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, MatchKind};

/// Bytes of the longest pattern.
const PIECE: usize = 256;

/// Texts to find, all at once.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// Sorted, so that the one that begins like a text is found by halving.
    sorted: Vec<Vec<u8>>,
    longest: usize,
    /// `None` without any pattern.
    automaton: Option<AhoCorasick>,
}

impl Patterns {
    /// These and more; `None` when there are none that are new. A long one is cut into pieces, each a pattern by itself:
    /// what of it stands alone is to be found as well, and the work of a search does not grow with its length.
    pub(super) fn with(&self, more: impl IntoIterator<Item = Vec<u8>>) -> Option<Self> {
        let mut all: BTreeSet<Vec<u8>> = self.sorted.iter().cloned().collect();
        let known = all.len();
        for pattern in more {
            let last = pattern.len().saturating_sub(PIECE);
            all.extend(pattern.chunks_exact(PIECE).map(<[u8]>::to_vec));
            all.insert(pattern[last..].to_vec());
        }
        if all.len() == known {
            return None;
        }
        let sorted: Vec<Vec<u8>> = all.into_iter().collect();
        // Fails beyond 2^31 bytes of patterns, which nothing that adds any comes near.
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(&sorted)
            .ok();
        Some(Self {
            longest: sorted.iter().map(Vec::len).max().unwrap_or(0),
            sorted,
            automaton,
        })
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Vec<u8>] {
        &self.sorted
    }

    /// Bytes of all patterns.
    pub(super) fn bytes(&self) -> usize {
        self.sorted.iter().map(Vec::len).sum()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Where patterns are in a text, overlapping ones joined; sorted.
    pub(super) fn find(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let Some(automaton) = &self.automaton else {
            return Vec::new();
        };
        let mut found: Vec<(usize, usize)> = automaton
            .find_overlapping_iter(text)
            .map(|found| (found.start(), found.end()))
            .collect();
        found.sort_unstable();
        let mut joined: Vec<(usize, usize)> = Vec::new();
        for (start, end) in found {
            match joined.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => joined.push((start, end)),
            }
        }
        joined
    }

    /// From where on a text could be the beginning of a pattern that goes on behind it; its length if nowhere.
    pub(super) fn unfinished(&self, text: &[u8]) -> usize {
        let first = (text.len() + 1).saturating_sub(self.longest);
        (first..text.len())
            .find(|&at| {
                let rest = &text[at..];
                let next = self.sorted.partition_point(|pattern| &**pattern <= rest);
                self.sorted
                    .get(next)
                    .is_some_and(|pattern| pattern.starts_with(rest))
            })
            .unwrap_or(text.len())
    }
}
