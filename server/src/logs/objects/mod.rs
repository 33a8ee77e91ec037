//! Logs as objects, for several servers: each piece that comes is an object and a row, and counts once both are there.
//!
//! ```text
//! PUT PREFIX/logs/12-1/step-0/OFFSET-RANDOM --> transaction: the stream still ends at OFFSET, its agent still holds the attempt
//! ```
//! Whoever loses a race, or dies in between, leaves an object without a row, which nobody reads. When an attempt is finished its
//! pieces are joined. The digests of the blocks so far are in rows, so that any server can go on.

mod join;
mod marker;
mod remove;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt as _, RetryConfig};
use protocol::service::{AttemptId, BLOCK, BlockHasher, LogEnd, Missing, StreamInfo, StreamName};

use super::{LogError, Piece, Retention};
use crate::database::{Database, OperationError};
use crate::operation::stream::{self, Appended, NewBlocks, PieceRow};

/// How many streams are remembered as far as they have come.
const REMEMBERED: usize = 4_096;

/// What is read at once where everything is read.
const READ: u64 = 4 << 20;

/// The objects. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    database: Database,
    retention: Retention,
    hashers: Arc<Mutex<HashMap<(AttemptId, StreamName), BlockHasher>>>,
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(object_store::Error) -> LogError {
    let what = path.to_string();
    move |source| LogError::Storage {
        action,
        what,
        source: match source {
            object_store::Error::NotFound { .. } => {
                std::io::Error::new(std::io::ErrorKind::NotFound, source)
            }
            source => std::io::Error::other(source),
        },
    }
}

impl From<OperationError> for LogError {
    fn from(error: OperationError) -> Self {
        Self::Database(Box::new(error))
    }
}

impl Objects {
    /// A bucket: `s3://bucket/prefix`. Credentials, region and endpoint come from the environment, as for Amazon's own tools,
    /// unless `options` says otherwise.
    pub(crate) fn open(
        url: &str,
        options: &[(String, String)],
        database: Database,
        retention: Retention,
    ) -> Result<Self, object_store::Error> {
        let prefix = url
            .strip_prefix("s3://")
            .and_then(|rest| rest.split_once('/'))
            .map_or("", |(_, prefix)| prefix);
        let mut store = AmazonS3Builder::from_env().with_url(url);
        for (name, value) in options {
            store = store.with_config(name.to_ascii_lowercase().parse()?, value);
        }
        let store = store
            .with_retry(RetryConfig {
                max_retries: 3,
                retry_timeout: Duration::from_secs(20),
                ..RetryConfig::default()
            })
            .with_client_options(
                ClientOptions::default()
                    .with_timeout(Duration::from_secs(30))
                    .with_connect_timeout(Duration::from_secs(5))
                    .with_allow_http(true),
            )
            .build()?;
        Ok(Self {
            store: Arc::new(store),
            prefix: Path::from(prefix),
            database,
            retention,
            hashers: Arc::default(),
        })
    }

    /// A name for a new object.
    fn name(&self, id: AttemptId, name: &StreamName, start: u64) -> Path {
        let mut bits = [0; 8];
        // Without random numbers two who race might meet: then the row of one of them names what both have written.
        let _ = getrandom::fill(&mut bits);
        let random = u64::from_le_bytes(bits);
        self.place(id, Some(name))
            .join(format!("{start:016}-{random:016x}"))
    }

    /// Where the objects of an attempt are, or of one stream of it.
    fn place(&self, id: AttemptId, name: Option<&StreamName>) -> Path {
        let attempt = self.prefix.clone().join("logs").join(id.to_string());
        match name {
            Some(name) => attempt.join(name.to_string()),
            None => attempt,
        }
    }

    pub(super) fn forget(&self, id: AttemptId) {
        self.lock().retain(|(of, _), _| *of != id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(AttemptId, StreamName), BlockHasher>> {
        self.hashers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn append(
        &self,
        id: AttemptId,
        name: StreamName,
        offset: u64,
        bytes: Bytes,
    ) -> Result<u64, LogError> {
        let mut hasher = self.hasher(id, &name).await?;
        let length = hasher.length();
        if offset > length {
            return Err(LogError::Gap { next: length });
        }
        let known = usize::try_from(length - offset).unwrap_or(usize::MAX);
        if known >= bytes.len() {
            return Ok(length);
        }
        let new = bytes.slice(known..);
        let object = self.name(id, &name, length);
        let full = hasher.full_blocks().len();
        self.store
            .put(&object, new.clone().into())
            .await
            .map_err(failed("write", &object))?;
        hasher.update(&new);
        let piece = PieceRow {
            start: length,
            length: new.len() as u64,
            object: object.to_string(),
        };
        let blocks = NewBlocks {
            first: full as u64,
            digests: hasher.full_blocks()[full..].to_vec(),
        };
        let (retention, of) = (self.retention.of_stream(&name), name.clone());
        let appended = self
            .database
            .write(move |tx| stream::append(tx, id, &of, &piece, &blocks, retention));
        let appended = match appended.await {
            // Only where it is certain that no row names it: a transaction whose answer is lost may have been committed.
            Err(OperationError::Refused(problem)) => {
                self.delete(vec![object.to_string()]).await;
                return Err(OperationError::Refused(problem).into());
            }
            appended => appended?,
        };
        match appended {
            Appended::Kept { thrown_away } => {
                let next = hasher.length();
                self.remember(id, name, hasher);
                self.delete(thrown_away).await;
                Ok(next)
            }
            Appended::Elsewhere { length } => {
                self.delete(vec![object.to_string()]).await;
                match offset + bytes.len() as u64 <= length {
                    true => Ok(length),
                    false => Err(LogError::Gap { next: length }),
                }
            }
        }
    }

    fn remember(&self, id: AttemptId, name: StreamName, hasher: BlockHasher) {
        let mut hashers = self.lock();
        if hashers.len() >= REMEMBERED {
            hashers.clear();
        }
        hashers.insert((id, name), hasher);
    }

    /// As far as a stream was remembered, when that is how long it is.
    fn remembered(&self, id: AttemptId, name: &StreamName, length: u64) -> Option<BlockHasher> {
        let hashers = self.lock();
        let known = hashers.get(&(id, name.clone()));
        known.filter(|known| known.length() == length).cloned()
    }

    /// A stream's hash so far: remembered, or computed from what is behind its last full block.
    async fn hasher(&self, id: AttemptId, name: &StreamName) -> Result<BlockHasher, LogError> {
        let of = name.clone();
        let length = self
            .database
            .read(move |tx| stream::length(tx, id, &of))
            .await?;
        if let Some(known) = self.remembered(id, name, length) {
            return Ok(known);
        }
        let of = name.clone();
        let digests = self.database.read(move |tx| stream::digests(tx, id, &of));
        let mut digests = digests.await?;
        // More may have come in between.
        digests.truncate(usize::try_from(length).unwrap_or(usize::MAX) / BLOCK);
        let mut hasher = BlockHasher::behind(digests);
        debug_assert!(hasher.full_blocks().len() * BLOCK <= usize::try_from(length).unwrap_or(0));
        while hasher.length() < length {
            let most = usize::try_from(READ).unwrap_or(usize::MAX);
            match self.read(id, name, hasher.length(), most).await {
                Ok(piece) if !piece.bytes.is_empty() => hasher.update(&piece.bytes),
                Err(error) if !error.is_vanished() => return Err(error),
                // Only the agent can help.
                _ => {
                    tracing::error!(%id, %name, "the bucket has lost a part of a log, which is asked for again");
                    self.restart(id, name).await?;
                    return Ok(BlockHasher::new());
                }
            }
        }
        Ok(hasher)
    }

    pub(super) async fn complete(
        &self,
        id: AttemptId,
        ends: &[LogEnd],
    ) -> Result<Result<Vec<StreamInfo>, Vec<Missing>>, LogError> {
        let mut missing = Vec::new();
        let mut infos = Vec::with_capacity(ends.len());
        for end in ends {
            let hasher = self.hasher(id, &end.name).await?;
            let length = hasher.length();
            if length == end.length && hasher.checksum() == end.checksum {
                let info = self.info(id, &end.name).await;
                infos.push(match info {
                    Ok(info) => StreamInfo {
                        complete: true,
                        ..info
                    },
                    // An empty log has no row yet.
                    Err(LogError::NotFound) => StreamInfo {
                        name: end.name.clone(),
                        length: 0,
                        complete: true,
                        cut_from: None,
                        cut_to: None,
                    },
                    Err(error) => return Err(error),
                });
                continue;
            }
            let mut from = length;
            if length >= end.length {
                tracing::warn!(%id, name = %end.name, "a log differed from its agent's and is thrown away");
                self.restart(id, &end.name).await?;
                from = 0;
            }
            missing.push(Missing {
                log: Some(end.name.clone()),
                from,
            });
        }
        Ok(match missing.is_empty() {
            true => Ok(infos),
            false => Err(missing),
        })
    }

    /// Throws a stream away whose attempt is going on: its agent sends it again.
    async fn restart(&self, id: AttemptId, name: &StreamName) -> Result<(), LogError> {
        let of = name.clone();
        let objects = self
            .database
            .write(move |tx| stream::restart(tx, id, &of))
            .await?;
        self.lock().remove(&(id, name.clone()));
        self.delete(objects).await;
        Ok(())
    }

    pub(super) async fn list(&self, id: AttemptId) -> Result<Vec<StreamInfo>, LogError> {
        let streams = self
            .database
            .read(move |tx| Ok(crate::operation::view::streams(tx, id)?));
        Ok(streams.await?)
    }

    pub(super) async fn info(
        &self,
        id: AttemptId,
        name: &StreamName,
    ) -> Result<StreamInfo, LogError> {
        let streams = self.list(id).await?;
        let found = streams.into_iter().find(|stream| stream.name == *name);
        found.ok_or(LogError::NotFound)
    }

    pub(super) async fn read(
        &self,
        id: AttemptId,
        name: &StreamName,
        offset: u64,
        most: usize,
    ) -> Result<Piece, LogError> {
        // Pieces may be joined between the look at their row and at themselves: then there is another row.
        for attempt in 1.. {
            let of = name.clone();
            let piece = self
                .database
                .read(move |tx| stream::piece_at(tx, id, &of, offset))
                .await?;
            let Some(piece) = piece else {
                break;
            };
            let object = Path::from(piece.object);
            let start = offset - piece.start;
            let end = piece.length.min(start.saturating_add(most as u64));
            match self.get(&object, start..end, piece.length).await {
                Err(error) if error.is_vanished() && attempt < 3 => {}
                bytes => {
                    return Ok(Piece {
                        offset,
                        bytes: bytes?,
                    });
                }
            }
        }
        let info = self.info(id, name).await?;
        match info.cut_to.filter(|cut_to| offset < *cut_to) {
            Some(next) => Err(LogError::Cut { next }),
            None => Ok(Piece {
                offset,
                bytes: Bytes::new(),
            }),
        }
    }

    /// Bytes of all archives of an attempt that are of the kind of this one, but this one.
    pub(super) async fn archive_bytes(
        &self,
        id: AttemptId,
        but: StreamName,
    ) -> Result<u64, LogError> {
        let bytes = self
            .database
            .read(move |tx| stream::archive_bytes(tx, id, &but));
        Ok(bytes.await?)
    }

    /// Whether a stream has been written by way of this server.
    pub(super) fn knows(&self, id: AttemptId, name: &StreamName) -> bool {
        self.lock().contains_key(&(id, name.clone()))
    }

    /// A part of an object that has so many bytes.
    async fn get(&self, object: &Path, range: Range<u64>, size: u64) -> Result<Bytes, LogError> {
        let cut = || LogError::Storage {
            action: "read",
            what: object.to_string(),
            source: std::io::ErrorKind::UnexpectedEof.into(),
        };
        match self.store.get_range(object, range.clone()).await {
            Ok(bytes) if bytes.len() as u64 == range.end - range.start => Ok(bytes),
            Ok(_) => Err(cut()),
            Err(error @ object_store::Error::NotFound { .. }) => Err(failed("read", object)(error)),
            // A range that an object has not is no error of its own kind.
            Err(error) => match self.store.head(object).await {
                Ok(found) if found.size < size => Err(cut()),
                _ => Err(failed("read", object)(error)),
            },
        }
    }

    /// Deletes what no row names any more. What cannot be deleted takes space and does no other harm.
    async fn delete(&self, objects: Vec<String>) {
        for object in objects {
            let path = Path::from(object);
            if let Err(error) = self.store.delete(&path).await {
                tracing::debug!(%error, %path, "an object stays that nobody needs");
            }
        }
    }
}
