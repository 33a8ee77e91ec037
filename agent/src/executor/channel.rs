//! The output of what is about to be started, and of what runs.

use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use crate::log::{Outlet, RunDirectory, Spool, Stream, StreamError};
use crate::mask::{MaskFile, Masks};

/// What output will go through, once what writes it and what it wants hidden are there.
#[derive(Debug)]
pub(super) struct Channel {
    reader: PipeReader,
    spool: Spool,
}

impl Channel {
    /// A channel that keeps up to `most` bytes at `path`, which `logs` has given, and the end of a pipe to write to. `goes_on`
    /// is for a file that is there: another attempt of the same step.
    pub(super) fn open(
        logs: &RunDirectory,
        path: &Path,
        most: u64,
        goes_on: bool,
    ) -> Result<(Self, OwnedFd), StreamError> {
        let mut spool = if goes_on {
            Spool::reopen(path, most)?
        } else {
            Spool::create(path, most)?
        };
        if logs.keeps_times() {
            spool = spool.with_times()?;
        }
        let (reader, writer) = std::io::pipe().map_err(StreamError::Pipe)?;
        Ok((Self { reader, spool }, writer.into()))
    }

    /// Begins to carry.
    pub(super) fn carry(
        self,
        outlet: Outlet,
        masks: &Arc<Masks>,
        mask: Option<MaskFile>,
    ) -> Result<Stream, StreamError> {
        Stream::start(self.reader, self.spool, outlet, Arc::clone(masks), mask)
    }
}

/// The log of what runs. It may end first: a command can close its output and go on.
#[derive(Debug)]
pub(super) enum Log<'a> {
    Flowing(&'a mut Stream),
    Ended,
}

impl Log<'_> {
    /// Waits for the end of the output; for ever when that has been seen.
    pub(super) async fn ended(&mut self) -> Result<(), StreamError> {
        match self {
            Self::Flowing(stream) => {
                let result = stream.finished().await;
                *self = Self::Ended;
                result
            }
            Self::Ended => std::future::pending().await,
        }
    }

    /// Waits for what is left of the output of a command that is over.
    pub(super) async fn drained(self) -> Result<(), StreamError> {
        match self {
            Self::Flowing(stream) => {
                stream.close();
                stream.finished().await
            }
            Self::Ended => Ok(()),
        }
    }
}
