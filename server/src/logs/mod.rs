//! The bytes of logs: appended by offset, read by range, followed while they grow.
//!
//! Of a log that is longer than [`Retention::bytes`] head and tail are kept. Everything has to be sent all the same: the checksum is
//! over all of it. Two places have the same interface: [`Directory`], for one server, and [`Objects`], for several.

mod directory;
mod gate;
mod objects;
mod retention;

use bytes::Bytes;
use protocol::service::{AttemptId, LogEnd, Missing, StreamInfo, StreamName};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};

pub(crate) use directory::Directory;
pub(crate) use objects::Objects;
pub use retention::Retention;

/// What can fail about a log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The piece starts behind the end.
    #[error("the log ends at {next}")]
    Gap { next: u64 },
    /// There is no such log.
    #[error("there is no such log")]
    NotFound,
    /// What was asked for lies where nothing was kept.
    #[error("nothing is kept before {next}")]
    Cut { next: u64 },
    /// The database that knows where the pieces are failed or refused.
    #[error(transparent)]
    Database(Box<crate::database::OperationError>),
    /// The storage failed.
    #[error("failed to {action} {what}: {source}")]
    Storage {
        action: &'static str,
        what: String,
        source: std::io::Error,
    },
}

impl LogError {
    /// What was written is there, and cannot be read (EIO).
    fn is_unreadable(&self) -> bool {
        let errno = rustix::io::Errno::IO.raw_os_error();
        matches!(self, Self::Storage { source, .. } if source.raw_os_error() == Some(errno))
    }

    /// What has to be there is not, or not all of it.
    fn is_vanished(&self) -> bool {
        use std::io::ErrorKind::{NotFound, UnexpectedEof};
        matches!(self, Self::Storage { source, .. } if matches!(source.kind(), NotFound | UnexpectedEof))
    }
}

/// A part of a log, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it starts in the log.
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
}

/// Where logs are.
#[derive(Debug, Clone)]
pub(crate) enum Logs {
    Directory(Directory),
    Objects(Objects),
}

impl Logs {
    /// Keeps a piece. What is here already is passed over; where the next piece starts is returned.
    pub(crate) async fn append(
        &self,
        id: AttemptId,
        name: StreamName,
        offset: u64,
        bytes: Bytes,
    ) -> Result<u64, LogError> {
        match self {
            Self::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.append(id, &name, offset, &bytes)).await
            }
            Self::Objects(objects) => objects.append(id, name, offset, bytes).await,
        }
    }

    /// Whether everything of an attempt is here, and durable. `Ok(Err(..))` is what lacks; copies that differ have been thrown away.
    /// The caller is [alone](Self::alone) until the database has answered that the attempt has ended.
    pub(crate) async fn complete(
        &self,
        id: AttemptId,
        ends: Vec<LogEnd>,
    ) -> Result<Result<Vec<StreamInfo>, Vec<Missing>>, LogError> {
        match self {
            Self::Directory(directory) => {
                let (checking, losses) = (directory.clone(), directory.losses());
                match blocking(move || checking.check(id, &ends)).await? {
                    Ok((infos, files)) => {
                        directory.sync(id, files, losses).await?;
                        let lengths = infos.iter().map(|info| (info.name.clone(), info.length));
                        directory.made_durable(id, lengths.collect());
                        Ok(Ok(infos))
                    }
                    Err(missing) => Ok(Err(missing)),
                }
            }
            Self::Objects(objects) => objects.complete(id, &ends).await,
        }
    }

    /// The streams of an attempt that is going on, or was lost.
    pub(crate) async fn list(&self, id: AttemptId) -> Result<Vec<StreamInfo>, LogError> {
        match self {
            Self::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.list(id)).await
            }
            Self::Objects(objects) => objects.list(id).await,
        }
    }

    /// How long a stream is, and what of it was not kept.
    pub(crate) async fn info(
        &self,
        id: AttemptId,
        name: StreamName,
    ) -> Result<StreamInfo, LogError> {
        match self {
            Self::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.info(id, &name)).await
            }
            Self::Objects(objects) => objects.info(id, &name).await,
        }
    }

    /// A part of a stream from an offset on, at most `most` bytes; empty at its end.
    pub(crate) async fn read(
        &self,
        id: AttemptId,
        name: StreamName,
        offset: u64,
        most: usize,
    ) -> Result<Piece, LogError> {
        match self {
            Self::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.read(id, &name, offset, most)).await
            }
            Self::Objects(objects) => objects.read(id, &name, offset, most).await,
        }
    }

    /// An attempt is finished: puts its logs as they are best read.
    pub(crate) fn finished(&self, id: AttemptId) {
        self.forget(id);
        if let Self::Objects(objects) = self {
            let objects = objects.clone();
            tokio::spawn(async move { objects.join(id).await });
        }
    }

    /// Makes the logs that an attempt has left durable: nothing more will come, and its agent is about to throw its own copy away.
    /// `Ok(Err(..))` is what has been here and is lost. The caller is [alone](Self::alone), as with [`Self::complete`].
    pub(crate) async fn settle(&self, id: AttemptId) -> Result<Result<(), Vec<Missing>>, LogError> {
        match self {
            Self::Directory(directory) => {
                let (looking, losses) = (directory.clone(), directory.losses());
                match blocking(move || looking.everything(id)).await? {
                    Ok((lengths, files)) => {
                        directory.sync(id, files, losses).await?;
                        directory.made_durable(id, lengths);
                        Ok(Ok(()))
                    }
                    Err(missing) => Ok(Err(missing)),
                }
            }
            // Each piece was durable before it was answered for.
            Self::Objects(_) => Ok(Ok(())),
        }
    }

    /// Lets somebody in who asks whether an attempt may be written to and then does it; kept until it is done, by what does it.
    pub(crate) async fn enter(&self, id: AttemptId) -> Option<OwnedRwLockReadGuard<()>> {
        match self {
            Self::Directory(directory) => Some(directory.gates.enter(id).await),
            // The transaction that lets a piece count asks.
            Self::Objects(_) => None,
        }
    }

    /// Waits until all have gone who were let in, for who ends an attempt or removes something of it.
    pub(crate) async fn alone(&self, id: AttemptId) -> Option<OwnedRwLockWriteGuard<()>> {
        match self {
            Self::Directory(directory) => Some(directory.gates.alone(id).await),
            Self::Objects(_) => None,
        }
    }

    /// Bytes of all archives of an attempt that are of the kind of this one, artifacts or caches, but this one.
    pub(crate) async fn archive_bytes(
        &self,
        id: AttemptId,
        but: StreamName,
    ) -> Result<u64, LogError> {
        match self {
            Self::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.archive_bytes(id, &but)).await
            }
            Self::Objects(objects) => objects.archive_bytes(id, but).await,
        }
    }

    /// Archives of an attempt that are here and that no row may name; where pieces are objects, rows name all that count.
    pub(crate) async fn archives(&self, id: AttemptId) -> Result<Vec<StreamName>, LogError> {
        match self {
            Self::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.archives(id)).await
            }
            Self::Objects(_) => Ok(Vec::new()),
        }
    }

    /// Deletes everything of an attempt that nobody writes to.
    pub(crate) async fn delete(&self, id: AttemptId) -> Result<(), LogError> {
        match self {
            Self::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.delete(id)).await
            }
            Self::Objects(objects) => objects.delete_all(id).await,
        }
    }

    /// The same of its archives.
    pub(crate) async fn delete_artifacts(&self, id: AttemptId) -> Result<(), LogError> {
        match self {
            Self::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.delete_artifacts(id)).await
            }
            Self::Objects(objects) => objects.delete_artifacts(id).await,
        }
    }

    /// The same of one stream.
    pub(crate) async fn delete_stream(
        &self,
        id: AttemptId,
        name: &StreamName,
    ) -> Result<(), LogError> {
        match self {
            Self::Directory(directory) => {
                let (directory, name) = (directory.clone(), name.clone());
                blocking(move || directory.remove(id, &name)).await
            }
            Self::Objects(objects) => objects.delete_stream(id, name).await,
        }
    }

    /// Whether a stream of an attempt was written to before, as far as this server remembers.
    pub(crate) fn knows(&self, id: AttemptId, name: &StreamName) -> bool {
        match self {
            Self::Directory(directory) => directory.knows(id, name),
            Self::Objects(objects) => objects.knows(id, name),
        }
    }

    /// Nothing will be written to an attempt any more.
    pub(crate) fn forget(&self, id: AttemptId) {
        match self {
            Self::Directory(directory) => directory.forget(id),
            Self::Objects(objects) => objects.forget(id),
        }
    }
}

/// Runs what waits for a disk where it keeps nobody else waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(LogError::Storage {
            action: "work on",
            what: "a log".to_owned(),
            source: std::io::Error::other(error),
        }),
    }
}
