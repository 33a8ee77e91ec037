//! Lines of several steps in one stream: whole, and each with its owner's name in front.

use std::io::{self, Write};

use memchr::{memchr, memrchr};

/// A line longer than this is split, bytes: what a step that never ends a line can make the agent hold.
const LINE_LIMIT: usize = 64 << 10;

/// Puts a prefix in front of every line of one step's output.
///
/// A line is held back until it is complete, so that lines of other steps never end up inside it. Nothing is lost or
/// doubled; all that is added is the prefix at the start of a line and behind a `\r` that would have overwritten it,
/// and a newline where a line had to be split or was left open at the end.
#[derive(Debug)]
pub(super) struct Prefixer {
    prefix: String,
    /// An incomplete line, shorter than [`LINE_LIMIT`].
    held: Vec<u8>,
}

impl Prefixer {
    pub(super) const fn new(prefix: String) -> Self {
        Self {
            prefix,
            held: Vec::new(),
        }
    }

    /// Passes on the lines that `bytes` completes, holds the rest.
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        if !self.held.is_empty() {
            let end = memchr(b'\n', bytes).map_or(bytes.len(), |newline| newline + 1);
            let taken = end.min(LINE_LIMIT - self.held.len());
            self.held.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.held.ends_with(b"\n") || self.held.len() == LINE_LIMIT {
                let line = std::mem::take(&mut self.held);
                self.lines(&line, out)?;
            }
        }
        let complete = memrchr(b'\n', bytes).map_or(0, |newline| newline + 1);
        self.lines(&bytes[..complete], out)?;
        let mut rest = &bytes[complete..];
        while rest.len() >= LINE_LIMIT {
            let (piece, behind) = rest.split_at(LINE_LIMIT);
            self.lines(piece, out)?;
            rest = behind;
        }
        if !rest.is_empty() {
            self.held.extend_from_slice(rest);
        }
        Ok(())
    }

    /// Passes on a line that was left open; the step is over.
    pub(super) fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let line = std::mem::take(&mut self.held);
        self.lines(&line, out)
    }

    /// Writes `bytes` line by line, the last one with a newline even if it has none.
    fn lines(&self, mut bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        while !bytes.is_empty() {
            let end = memchr(b'\n', bytes)
                .map_or(bytes.len(), |newline| newline + 1)
                .min(LINE_LIMIT);
            let (line, rest) = bytes.split_at(end);
            self.line(line, out)?;
            bytes = rest;
        }
        Ok(())
    }

    fn line(&self, line: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let (text, end): (&[u8], &[u8]) = if let Some(text) = line.strip_suffix(b"\r\n") {
            (text, b"\r\n")
        } else if let Some(text) = line.strip_suffix(b"\n") {
            (text, b"\n")
        } else {
            (line, b"\n")
        };
        out.write_all(self.prefix.as_bytes())?;
        let mut rest = text;
        while let Some(position) = memchr(b'\r', rest) {
            let (overwritten, behind) = rest.split_at(position + 1);
            out.write_all(overwritten)?;
            out.write_all(self.prefix.as_bytes())?;
            rest = behind;
        }
        out.write_all(rest)?;
        out.write_all(end)
    }
}

#[cfg(test)]
#[path = "prefix_tests.rs"]
mod tests;
