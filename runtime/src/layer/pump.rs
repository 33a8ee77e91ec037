//! The half of an unpack that needs no file: it reads, decompresses, counts and hashes, on a thread of its own, while the
//! other half writes what it is handed.
//!
//! ```text
//! source -> decoder -> hash --full buffers--> Stream -> archive -> files
//!              ^------------empty buffers-------'
//! ```
//!
//! Both take about as long, so that a single layer keeps two processors busy. There are only [`BUFFERS`] buffers, so the
//! faster half waits for the slower one.

use std::io::{ErrorKind, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::error::{Exceeded, UnpackError};
use super::{Compression, decoder};
use crate::image::{Digest, Hasher};

/// Large enough that a small file is one piece and the hash runs at full speed.
const BUFFER: usize = 256 * 1024;
/// One that is filled, one that is emptied, and two between them.
const BUFFERS: usize = 4;

/// Bytes in a buffer that goes back and forth.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) buffer: Box<[u8]>,
    /// How many of them are valid.
    pub(super) length: usize,
}

/// What the pump has to say.
#[derive(Debug)]
pub(super) enum News {
    /// The next bytes, never none.
    Piece(Piece),
    /// There are no more; the digest and the number of all bytes.
    End(Digest, u64),
    /// There would have been more.
    Failed(UnpackError),
}

/// The other half's ends of the two channels.
pub(super) type Ends = (Receiver<News>, SyncSender<Box<[u8]>>);

/// The half with the source.
#[derive(Debug)]
pub(super) struct Pump<R> {
    source: R,
    compression: Compression,
    limit: u64,
    news: SyncSender<News>,
    empty: Receiver<Box<[u8]>>,
}

impl<R: Read> Pump<R> {
    /// A pump that delivers at most `limit` uncompressed bytes, and the ends of the half that takes them.
    pub(super) fn new(source: R, compression: Compression, limit: u64) -> (Self, Ends) {
        let (news, pieces) = sync_channel(BUFFERS);
        let (spent, empty) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            // There is room for all of them.
            let _ = spent.send(vec![0; BUFFER].into_boxed_slice());
        }
        let pump = Self {
            source,
            compression,
            limit,
            news,
            empty,
        };
        (pump, (pieces, spent))
    }

    /// Pumps to the end, or until nobody takes anything any more.
    pub(super) fn run(self) {
        let Self {
            source,
            compression,
            limit,
            news,
            empty,
        } = self;
        let last = match deliver(source, compression, limit, &news, &empty) {
            Ok(Some((digest, total))) => News::End(digest, total),
            Ok(None) => return,
            Err(error) => News::Failed(error),
        };
        let _ = news.send(last);
    }
}

/// The digest and the number of all bytes; `None` when the other half has stopped before the end.
fn deliver(
    source: impl Read,
    compression: Compression,
    limit: u64,
    news: &SyncSender<News>,
    empty: &Receiver<Box<[u8]>>,
) -> Result<Option<(Digest, u64)>, UnpackError> {
    let (mut source, compression) =
        decoder(source, compression).map_err(|error| UnpackError::Read {
            reason: error.to_string(),
        })?;
    let (mut hasher, mut total) = (Hasher::default(), 0);
    while let Ok(mut buffer) = empty.recv() {
        let length = fill(&mut source, compression, &mut buffer)?;
        if length == 0 {
            return Ok(Some((hasher.finish(), total)));
        }
        hasher.update(&buffer[..length]);
        total += length as u64;
        if total > limit {
            return Err(UnpackError::Limit {
                exceeded: Exceeded::Bytes,
                limit,
            });
        }
        if news.send(News::Piece(Piece { buffer, length })).is_err() {
            break;
        }
    }
    Ok(None)
}

/// Leaves the buffer as full as the source allows.
fn fill(
    source: &mut impl Read,
    compression: Compression,
    buffer: &mut [u8],
) -> Result<usize, UnpackError> {
    let mut end = 0;
    while end < buffer.len() {
        match source.read(&mut buffer[end..]) {
            Ok(0) => break,
            Ok(count) => end += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(compression, &error)),
        }
    }
    Ok(end)
}

fn failed(compression: Compression, error: &std::io::Error) -> UnpackError {
    let reason = error.to_string();
    if error.raw_os_error().is_some() || compression == Compression::None {
        UnpackError::Read { reason }
    } else {
        UnpackError::Decompress {
            compression,
            reason,
        }
    }
}
