//! The bytes of logs: appended by offset, read by range, followed while they grow.
//!
//! Of a log that is longer than [`Retention::bytes`] head and tail are kept. Everything has to be sent all the same: the checksum is
//! over all of it. Two places have the same interface: [`Directory`], for one server, and [`Objects`], for several.

mod directory;
mod objects;
mod retention;

use bytes::Bytes;
use protocol::service::{AttemptId, LogEnd, Missing, StreamInfo, StreamName};

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

    /// Whether everything of an attempt is here. `Ok(Err(..))` is what lacks; copies that differ have been thrown away.
    pub(crate) async fn complete(
        &self,
        id: AttemptId,
        ends: Vec<LogEnd>,
    ) -> Result<Result<Vec<StreamInfo>, Vec<Missing>>, LogError> {
        match self {
            Self::Directory(directory) => {
                let (checking, sync) = (directory.clone(), directory);
                match blocking(move || checking.check(id, &ends)).await? {
                    Ok((infos, files)) => {
                        if let Err(error) = sync.sync(id, files).await {
                            // The kernel tells once of what it could not write, and has it for written from then on: what is
                            // here now is not what is on the disk, and has to be sent again.
                            for info in infos {
                                self.discard(id, info.name).await;
                            }
                            return Err(error);
                        }
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

    /// Makes what an attempt has left durable: nothing more will come, and its agent is about to throw its own copy away.
    pub(crate) async fn settle(&self, id: AttemptId) -> Result<(), LogError> {
        match self {
            Self::Directory(directory) => {
                let (looking, sync) = (directory.clone(), directory);
                let files = blocking(move || looking.everything(id)).await?;
                sync.sync(id, files).await
            }
            // Each piece was durable before it was answered for.
            Self::Objects(_) => Ok(()),
        }
    }

    /// Deletes the logs of an attempt.
    pub(crate) async fn delete(&self, id: AttemptId) -> Result<(), LogError> {
        self.forget(id);
        match self {
            Self::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.delete(id)).await
            }
            Self::Objects(objects) => objects.delete_all(id).await,
        }
    }

    /// Whether a stream of an attempt was written to before, as far as this server remembers.
    pub(crate) fn knows(&self, id: AttemptId, name: &StreamName) -> bool {
        match self {
            Self::Directory(directory) => directory.knows(id, name),
            Self::Objects(objects) => objects.knows(id, name),
        }
    }

    /// What tells this storage from others.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Directory(directory) => format!("directory {}", directory.identity()),
            Self::Objects(_) => "objects".to_owned(),
        }
    }

    /// Throws a stream away.
    pub(crate) async fn remove(&self, id: AttemptId, name: StreamName) -> Result<(), LogError> {
        match self {
            Self::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.remove(id, &name)).await
            }
            Self::Objects(objects) => objects.remove(id, &name).await,
        }
    }

    /// The same of what nobody will ask for. What stays takes space and does no other harm.
    pub(crate) async fn discard(&self, id: AttemptId, name: StreamName) {
        if let Err(error) = self.remove(id, name.clone()).await {
            tracing::warn!(%error, %id, %name, "a stream stays that nobody needs");
        }
    }

    /// An attempt has come to no end: its logs stay, and what it has begun to send of artifacts does not.
    pub(crate) async fn lost(&self, id: AttemptId) {
        match self.list(id).await {
            Ok(streams) => {
                let names = streams.into_iter().map(|stream| stream.name);
                for name in names.filter(|name| name.as_artifact().is_some()) {
                    self.discard(id, name).await;
                }
            }
            Err(error) => tracing::warn!(%error, %id, "artifacts stay that nobody needs"),
        }
        self.forget(id);
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
