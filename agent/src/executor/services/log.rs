//! Lines that are looked for in a service's log.

use regex_lite::{Regex, RegexBuilder};
use tokio::sync::oneshot;

use crate::log::Listener;

/// So much of a line is looked at, bytes.
const LONGEST_LINE: usize = 16 << 10;

/// Bytes that a compiled expression may take; the compiler of pipelines allows as much.
const LARGEST_PATTERN: usize = 1 << 20;

/// Something that hears a log, and what answers as soon as a whole line matches `pattern`.
///
/// # Errors
/// When that is no regular expression. The compiler has seen to it, but a plan may come from elsewhere.
pub(super) fn look_for(
    pattern: &str,
) -> Result<(Listener, oneshot::Receiver<()>), regex_lite::Error> {
    let pattern = RegexBuilder::new(pattern)
        .size_limit(LARGEST_PATTERN)
        .build()?;
    let (found, answer) = oneshot::channel();
    let mut lines = Lines {
        pattern,
        line: Vec::new(),
        found: Some(found),
    };
    Ok((Box::new(move |bytes| lines.hear(bytes)), answer))
}

#[derive(Debug)]
struct Lines {
    pattern: Regex,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// `None` when the answer has been given.
    found: Option<oneshot::Sender<()>>,
}

impl Lines {
    fn hear(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.found.is_none() {
                return;
            }
            let room = LONGEST_LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.look();
                self.line.clear();
            }
        }
    }

    fn look(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        if self.pattern.is_match(line.trim_end_matches(['\r', '\n'])) {
            // Nobody waits for it when the service has been given up.
            self.found.take().map(|found| found.send(()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it has been found after each of these pieces.
    fn found_after(pattern: &str, pieces: &[&[u8]]) -> Vec<bool> {
        let (mut listener, mut answer) = look_for(pattern).unwrap();
        let mut is_found = false;
        let mut after = |piece: &&[u8]| {
            listener(piece);
            is_found |= answer.try_recv().is_ok();
            is_found
        };
        pieces.iter().map(&mut after).collect()
    }

    #[test]
    fn a_line_is_found_however_it_is_cut() {
        let pieces: [&[u8]; 4] = [
            b"starting\nready to acc",
            b"ept connec",
            b"tions\r",
            b"\nmore\n",
        ];
        assert_eq!(
            found_after("^ready .* connections$", &pieces),
            [false, false, false, true]
        );
    }

    #[test]
    fn what_is_no_line_yet_is_not_looked_at() {
        assert_eq!(
            found_after("ready$", &[b"ready", b" soon\n"]),
            [false, false]
        );
    }

    #[test]
    fn a_line_without_end_takes_no_memory_and_is_looked_at_as_far_as_it_is_kept() {
        let long = vec![b'x'; 10 * LONGEST_LINE];
        assert_eq!(
            found_after("^x*$", &[&long, &long, b"ready\n"]),
            [false, false, true]
        );
        assert_eq!(
            found_after("ready", &[&long, b"ready\n", b"ready\n"]),
            [false, false, true]
        );
    }

    #[test]
    fn the_answer_is_lost_with_the_log() {
        let (listener, mut answer) = look_for("x").unwrap();
        drop(listener);
        assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert!(look_for("(").is_err());
    }
}
