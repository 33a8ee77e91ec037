//! What must not be in an archive: secrets.

use aho_corasick::{AhoCorasick, MatchKind};

/// Texts to look for in streams, all at once.
#[derive(Debug)]
pub(crate) struct Forbidden {
    /// `None` when there are none.
    automaton: Option<AhoCorasick>,
    /// Bytes of the longest.
    longest: usize,
    /// The end of what has been seen of the stream: a text may be cut anywhere.
    seen: Vec<u8>,
}

impl Forbidden {
    /// What [`Forbidden::joined`] has made.
    pub(crate) fn read(mut bytes: &[u8]) -> Self {
        let mut texts = Vec::new();
        while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            let Some((text, rest)) = rest.split_at_checked(length) else {
                break;
            };
            texts.push(text);
            bytes = rest;
        }
        texts.retain(|text| !text.is_empty());
        let automaton = (!texts.is_empty())
            // It fails beyond 2^31 bytes of texts, which no message is long enough for.
            .then(|| {
                AhoCorasick::builder()
                    .match_kind(MatchKind::Standard)
                    .build(&texts)
                    .ok()
            })
            .flatten();
        Self {
            automaton,
            longest: texts.iter().map(|text| text.len()).max().unwrap_or(0),
            seen: Vec::new(),
        }
    }

    /// Texts on their way through a file, each behind its length.
    pub(crate) fn joined(texts: &[Vec<u8>]) -> Vec<u8> {
        let mut all = Vec::new();
        for text in texts {
            let Ok(length) = u32::try_from(text.len()) else {
                continue;
            };
            all.extend_from_slice(&length.to_le_bytes());
            all.extend_from_slice(text);
        }
        all
    }

    /// A stream begins.
    pub(crate) fn begin(&mut self) {
        self.seen.clear();
    }

    /// Whether the stream, as far as it has come with these bytes, holds one of them.
    pub(crate) fn is_in(&mut self, bytes: &[u8]) -> bool {
        let Some(automaton) = &self.automaton else {
            return false;
        };
        if automaton.is_match(bytes) {
            return true;
        }
        // Across the cut: as many bytes on each side of it as the longest could have there.
        let most = self.longest - 1;
        let kept = self.seen.len();
        self.seen.extend_from_slice(&bytes[..bytes.len().min(most)]);
        if kept > 0 && automaton.is_match(&self.seen[..]) {
            return true;
        }
        if bytes.len() >= most {
            self.seen.clear();
            self.seen.extend_from_slice(&bytes[bytes.len() - most..]);
        } else {
            let surplus = self.seen.len().saturating_sub(most);
            self.seen.drain(..surplus);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::Forbidden;

    fn found(texts: &[&str], pieces: &[&str]) -> bool {
        let texts: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        let mut forbidden = Forbidden::read(&Forbidden::joined(&texts));
        forbidden.begin();
        pieces.iter().any(|piece| forbidden.is_in(piece.as_bytes()))
    }

    #[test]
    fn a_text_is_found_however_it_is_cut() {
        let text = "correct horse";
        let whole = format!("<{text}>");
        for first in 0..whole.len() {
            for second in first..whole.len() {
                let pieces = [&whole[..first], &whole[first..second], &whole[second..]];
                assert!(found(&["other", text], &pieces), "{pieces:?}");
            }
        }
        let letters: Vec<String> = whole.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert!(found(&[text], &letters));
    }

    #[test]
    fn nothing_else_is() {
        assert!(!found(&["hunter22"], &["hunter2", "hunter", "2"]));
        assert!(!found(&[], &["anything"]));
        assert!(!found(&[""], &["anything"]));
        let mut forbidden = Forbidden::read(&Forbidden::joined(&[b"abcd".to_vec()]));
        assert!(!forbidden.is_in(b"ab"));
        forbidden.begin();
        assert!(!forbidden.is_in(b"cd"), "another stream");
    }
}
