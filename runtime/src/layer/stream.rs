//! The uncompressed bytes of a layer, counted and hashed as they pass, served from one buffer without a copy.

use std::io::{ErrorKind, Read};

use super::error::{Exceeded, Fault, UnpackError};
use super::{Compression, decoder};
use crate::image::{Digest, Hasher};

/// Large enough that a small file is one piece and the hash runs at full speed.
const BUFFER: usize = 256 * 1024;

/// The uncompressed bytes of a layer.
pub(crate) struct Stream<'a> {
    source: Box<dyn Read + 'a>,
    compression: Compression,
    buffer: Box<[u8]>,
    /// What is valid and not yet consumed.
    ready: std::ops::Range<usize>,
    hasher: Hasher,
    total: u64,
    limit: u64,
}

impl<'a> Stream<'a> {
    /// At most `limit` uncompressed bytes will be served.
    pub(crate) fn new(
        source: impl Read + 'a,
        compression: Compression,
        limit: u64,
    ) -> Result<Self, UnpackError> {
        let (source, compression) =
            decoder(source, compression).map_err(|error| UnpackError::Read {
                reason: error.to_string(),
            })?;
        Ok(Self {
            source,
            compression,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            ready: 0..0,
            hasher: Hasher::default(),
            total: 0,
            limit,
        })
    }

    /// The next bytes, at most `most` of them; empty only at the end.
    pub(crate) fn peek(&mut self, most: u64) -> Result<&[u8], UnpackError> {
        if self.ready.is_empty() {
            self.fill()?;
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(&self.buffer
            [self.ready.start..self.ready.end.min(self.ready.start.saturating_add(most))])
    }

    /// Takes bytes that were peeked at.
    pub(crate) fn consume(&mut self, count: usize) {
        self.ready.start = (self.ready.start + count).min(self.ready.end);
    }

    /// Fills `target`, or as much of it as there is; returns how much.
    pub(crate) fn read(&mut self, target: &mut [u8]) -> Result<usize, UnpackError> {
        let mut done = 0;
        while done < target.len() {
            let piece = self.peek((target.len() - done) as u64)?;
            let count = piece.len();
            if count == 0 {
                break;
            }
            target[done..done + count].copy_from_slice(piece);
            self.consume(count);
            done += count;
        }
        Ok(done)
    }

    /// Passes over `count` bytes; `false` when the stream ends before.
    pub(crate) fn skip(&mut self, mut count: u64) -> Result<bool, UnpackError> {
        while count > 0 {
            let piece = self.peek(count)?.len();
            if piece == 0 {
                return Ok(false);
            }
            self.consume(piece);
            count -= piece as u64;
        }
        Ok(true)
    }

    /// Reads to the end (a tar archive may be followed by padding, which the diff ID covers) and returns the digest and
    /// the number of uncompressed bytes.
    pub(crate) fn finish(mut self) -> Result<(Digest, u64), UnpackError> {
        loop {
            self.ready = 0..0;
            self.fill()?;
            if self.ready.is_empty() {
                return Ok((self.hasher.finish(), self.total));
            }
        }
    }

    /// Called with nothing ready; leaves the buffer as full as the stream allows.
    fn fill(&mut self) -> Result<(), UnpackError> {
        let mut end = 0;
        while end < self.buffer.len() {
            match self.source.read(&mut self.buffer[end..]) {
                Ok(0) => break,
                Ok(count) => end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(&error)),
            }
        }
        self.ready = 0..end;
        self.hasher.update(&self.buffer[..end]);
        self.total += end as u64;
        if self.total > self.limit {
            return Err(UnpackError::Limit {
                exceeded: Exceeded::Bytes,
                limit: self.limit,
            });
        }
        Ok(())
    }

    fn failed(&self, error: &std::io::Error) -> UnpackError {
        if error.raw_os_error().is_some() || self.compression == Compression::None {
            UnpackError::Read {
                reason: error.to_string(),
            }
        } else {
            UnpackError::Decompress {
                compression: self.compression,
                reason: error.to_string(),
            }
        }
    }
}

impl std::fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("compression", &self.compression)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// The stream ended inside entry `entry`.
pub(super) fn truncated(entry: u64) -> UnpackError {
    UnpackError::Malformed {
        entry,
        fault: Fault::Truncated,
    }
}
