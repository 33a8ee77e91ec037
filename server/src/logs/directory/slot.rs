//! What is known of a stream between two pieces of it.
//!
//! ```text
//! closed --take: looks into the files--> in somebody's hands --put--> open --take--> in somebody's hands
//!    ^----------------- something failed ------'
//! ```
//! Once the disk has lost something, what was looked at before that does not count as far as it was not durable: the stream is cut
//! back, to what is sealed, or to what was made durable when its attempt was to end, if that is more. Never further: its agent
//! may have thrown its own copy away.

use super::LogError;
use super::disk::Disk;
use super::files::Files;
use super::stream::Open;

/// One stream. Only its one agent waits for its lock.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// As far as it has come; `None` is to be seen from the files.
    open: Option<Open>,
    /// What the disk had lost when the files were looked at first. What was there before the server has started nobody has looked
    /// at before the first loss.
    losses: u64,
    /// So many bytes were made durable for an end of the attempt.
    durable: u64,
}

impl Slot {
    /// The stream as far as it has come, and whether something of it had to be thrown away. Who fails with it does not put it back.
    pub(super) fn take(&mut self, disk: &Disk, files: &Files) -> Result<(Open, bool), LogError> {
        let losses = disk.losses();
        if self.losses == losses
            && let Some(open) = self.open.take()
        {
            return Ok((open, false));
        }
        self.open = None;
        let before = files.layout()?.map_or(0, |layout| layout.length);
        if self.losses != losses {
            files.cut(self.durable)?;
            self.losses = losses;
        }
        let open = Open::resume(files)?;
        self.durable = self.durable.min(open.length());
        let was_cut = open.length() < before;
        Ok((open, was_cut))
    }

    /// What the disk had lost when it was looked at: what it loses afterwards may be of this stream.
    pub(super) const fn losses(&self) -> u64 {
        self.losses
    }

    /// This is how far it is now.
    pub(super) fn put(&mut self, open: Open) {
        // What was thrown away is not durable any more, nor what comes in its place.
        self.durable = self.durable.min(open.length());
        self.open = Some(open);
    }

    /// The first so many bytes are durable.
    pub(super) fn made_durable(&mut self, length: u64) {
        let come = self.open.as_ref().map_or(0, Open::length);
        self.durable = self.durable.max(length.min(come));
    }
}
