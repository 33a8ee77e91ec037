//! How much of a log is kept: its first half and its last.
//!
//! ```text
//! 0 ........ head | segment 0 | segment 1 | .. | segment k      of a long log the segments in the middle are thrown away
//! ```
//! The tail comes in segments so that throwing away is deleting files.

use protocol::service::{BLOCK, StreamName};

/// How much of one log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    bytes: u64,
}

/// The least that can be kept: the checksum goes on from the last full block.
pub(crate) const LEAST: u64 = 4 * BLOCK as u64;

/// Segments of a full tail.
const SEGMENTS: u64 = 4;

impl Default for Retention {
    fn default() -> Self {
        Self { bytes: 256 << 20 }
    }
}

impl Retention {
    /// This many bytes; at least 4 MiB.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        Self {
            bytes: bytes.max(LEAST),
        }
    }

    /// As it was for a stream whose head is full and has so many bytes.
    pub(crate) const fn of_head(head: u64) -> Self {
        Self { bytes: head * 2 }
    }

    /// What holds for a stream: an archive is kept whole.
    pub(crate) const fn of_stream(self, name: &StreamName) -> Self {
        match name.is_archive() {
            true => Self { bytes: u64::MAX },
            false => self,
        }
    }

    /// Bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Bytes of the head.
    pub(crate) const fn head(self) -> u64 {
        self.bytes / 2
    }

    /// Bytes of a segment of the tail.
    pub(crate) const fn segment(self) -> u64 {
        self.bytes / 2 / SEGMENTS
    }

    /// The segment that the byte at this offset is in; `None` is the head.
    pub(crate) const fn segment_of(self, offset: u64) -> Option<u64> {
        match offset.checked_sub(self.head()) {
            Some(behind) => Some(behind / self.segment()),
            None => None,
        }
    }

    /// Where a segment starts.
    pub(crate) const fn start_of(self, segment: u64) -> u64 {
        self.head() + segment * self.segment()
    }

    /// The first segment that is kept while this one is written.
    pub(crate) const fn first_kept(self, segment: u64) -> u64 {
        segment.saturating_sub(SEGMENTS)
    }
}
