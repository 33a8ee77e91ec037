//! The uncompressed bytes of a layer as the pump delivers them, served from its buffers without a copy.

use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use super::error::{Fault, UnpackError};
use super::pump::{Ends, News, Piece};
use super::recording::Recorder;
use crate::image::Digest;

/// The uncompressed bytes of a layer.
#[derive(Debug)]
pub(crate) struct Stream {
    news: Receiver<News>,
    spent: SyncSender<Box<[u8]>>,
    piece: Option<Piece>,
    /// Bytes of the piece that were consumed.
    consumed: usize,
    /// The digest and the number of all bytes, once there are no more.
    end: Option<(Digest, u64)>,
    /// Takes what is no file's content.
    recorder: Option<Recorder>,
    /// There are no more pieces from then on.
    until: Option<Instant>,
}

/// What there is to say of a stream that was read to its end.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) digest: Digest,
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) is_recorded: bool,
}

impl Stream {
    /// What comes out of a pump.
    pub(super) fn new((news, spent): Ends, recorder: Option<Recorder>) -> Self {
        Self {
            news,
            spent,
            piece: None,
            consumed: 0,
            end: None,
            recorder,
            until: None,
        }
    }

    /// The same, which fails from then on.
    pub(super) const fn until(mut self, until: Option<Instant>) -> Self {
        self.until = until;
        self
    }

    /// Says that what is taken by [`Stream::peek`] and [`Stream::consume`] from here on is a file's content.
    pub(crate) fn begin_content(&mut self, path: &[u8], size: u64) {
        if let Some(recorder) = &mut self.recorder {
            recorder.content(path, size);
        }
    }

    /// The next bytes, at most `most` of them; empty only at the end.
    pub(crate) fn peek(&mut self, most: u64) -> Result<&[u8], UnpackError> {
        if self.ready().is_empty() {
            self.next()?;
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let ready = self.ready();
        Ok(&ready[..ready.len().min(most)])
    }

    /// Takes bytes that were peeked at.
    pub(crate) fn consume(&mut self, count: usize) {
        self.consumed += count.min(self.ready().len());
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
            self.record(count);
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
            self.record(piece);
            self.consume(piece);
            count -= piece as u64;
        }
        Ok(true)
    }

    /// Reads to the end: a tar archive may be followed by padding, which the diff ID covers.
    pub(crate) fn finish(mut self) -> Result<Whole, UnpackError> {
        loop {
            let rest = self.ready().len();
            self.record(rest);
            self.consume(rest);
            if let Some((digest, size)) = self.end {
                let is_recorded = self.recorder.is_some_and(Recorder::finish);
                return Ok(Whole {
                    digest,
                    size,
                    is_recorded,
                });
            }
            self.next()?;
        }
    }

    /// Records the next bytes that are ready.
    fn record(&mut self, count: usize) {
        if let (Some(recorder), Some(piece)) = (&mut self.recorder, &self.piece) {
            recorder.raw(&piece.buffer[self.consumed..self.consumed + count]);
        }
    }

    /// What is there and not yet consumed.
    fn ready(&self) -> &[u8] {
        let piece = self.piece.as_ref();
        piece.map_or(&[], |piece| &piece.buffer[self.consumed..piece.length])
    }

    /// Lets go of the current piece and takes the next one; there is none at the end.
    fn next(&mut self) -> Result<(), UnpackError> {
        if let Some(Piece { buffer, .. }) = self.piece.take() {
            // A pump that is done needs no buffer.
            let _ = self.spent.send(buffer);
        }
        self.consumed = 0;
        if self.end.is_some() {
            return Ok(());
        }
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return Err(UnpackError::Late);
        }
        match self.news.recv() {
            Ok(News::Piece(piece)) => self.piece = Some(piece),
            Ok(News::End(digest, total)) => self.end = Some((digest, total)),
            Ok(News::Failed(error)) => return Err(error),
            Err(_) => {
                return Err(UnpackError::Worker {
                    reason: "its decompressing half is gone".to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// The stream ended inside entry `entry`.
pub(super) fn truncated(entry: u64) -> UnpackError {
    UnpackError::Malformed {
        entry,
        fault: Fault::Truncated,
    }
}
