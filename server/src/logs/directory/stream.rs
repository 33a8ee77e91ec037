//! A stream that is being written, as far as it has come.

use bytes::Bytes;
use protocol::service::{BlockHasher, Checksum};

use super::disk::Disk;
use super::files::Files;
use super::{LogError, Retention};

/// What is read at once.
const READ: usize = 256 << 10;

/// How far, and the hash of it.
#[derive(Debug)]
pub(super) struct Open {
    hasher: BlockHasher,
    retention: Retention,
    /// Blocks whose digests are in the file, and which are durable.
    sealed: usize,
}

impl Open {
    /// Looks how far a stream has come: reads what is behind what is sealed. One that cannot be read is thrown away.
    pub(super) fn resume(files: &Files) -> Result<Self, LogError> {
        let Some(layout) = files.layout()? else {
            return Ok(Self::new(files.retention()));
        };
        let mut digests = files.sealed_digests()?;
        let full = usize::try_from(layout.length).unwrap_or(usize::MAX) / protocol::service::BLOCK;
        digests.truncate(full);
        let sealed = digests.len();
        let mut hasher = BlockHasher::behind(digests);
        while hasher.length() < layout.length {
            let bytes = match files.read(hasher.length(), READ) {
                Err(error) if error.is_unreadable() => {
                    tracing::error!(%error, "the disk has lost a log, which is asked for again");
                    Bytes::new()
                }
                bytes => bytes?,
            };
            if bytes.is_empty() {
                // What is needed is not there any more: only the agent can help.
                files.remove()?;
                return Ok(Self::new(files.retention()));
            }
            hasher.update(&bytes);
        }
        Ok(Self {
            hasher,
            retention: layout.retention,
            sealed,
        })
    }

    fn new(retention: Retention) -> Self {
        Self {
            hasher: BlockHasher::new(),
            retention,
            sealed: 0,
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.hasher.length()
    }

    pub(super) fn checksum(&self) -> Checksum {
        self.hasher.checksum()
    }

    /// Writes behind the end of what was looked at when the disk had lost so much. Where a segment begins, all before it is sealed, and what is not kept any more is thrown away.
    pub(super) fn write(
        &mut self,
        disk: &Disk,
        losses: u64,
        files: &Files,
        mut bytes: &[u8],
    ) -> Result<(), LogError> {
        if bytes.is_empty() && self.length() > 0 {
            return Ok(());
        }
        loop {
            let offset = self.length();
            if let Some(segment) = self.retention.segment_of(offset)
                && offset == self.retention.start_of(segment)
            {
                let digests = self.hasher.full_blocks();
                files.seal(disk, losses, digests, self.sealed)?;
                self.sealed = digests.len();
                files.throw_away(self.retention, segment)?;
            }
            let written = files.write(self.retention, offset, bytes)?;
            let (now, rest) = bytes.split_at(written);
            self.hasher.update(now);
            bytes = rest;
            if bytes.is_empty() {
                return Ok(());
            }
        }
    }
}
