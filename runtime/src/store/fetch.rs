//! One layer, from its source through a pipe to a worker.
//!
//! ```text
//! lock -> here already?  -> done
//!      -> KEY.RANDOM.tmp -> diff ID right -> renamed to HEX
//!                        -> anything else -> removed
//! ```

use std::hash::{BuildHasher as _, Hasher as _};
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;

use super::Store;
use super::error::{Attempt, PullError, StoreError};
use super::progress::Progress;
use crate::image::Digest;
use crate::layer::{Compression, LayerWorker, Unpacked};
use crate::transport::{Content, Layer, Transport, TransportError};

/// The largest pipe that needs no privilege (`/proc/sys/fs/pipe-max-size`), in bytes.
const PIPE: usize = 1 << 20;
const TEMPORARY: &str = ".tmp";

/// What the layers of one pull have in common.
pub(super) struct Fetch<'a> {
    pub(super) store: &'a Store,
    pub(super) transport: &'a Transport<'a>,
    /// The source, for messages.
    pub(super) image: &'a str,
    /// For a layer without a known diff ID.
    pub(super) key: &'a str,
    pub(super) worker: &'a dyn LayerWorker,
    pub(super) progress: &'a (dyn Fn(Progress<'_>) + Send + Sync),
}

impl Fetch<'_> {
    /// Makes sure that a layer is here; returns its diff ID and how many bytes were fetched for it.
    pub(super) async fn layer(&self, layer: &Layer) -> Result<(Digest, u64), PullError> {
        let key = layer
            .diff_id
            .map_or_else(|| self.key.to_owned(), |id| id.hex());
        let here = || layer.diff_id.filter(|id| self.store.has_layer(&id.hex()));
        if let Some(id) = here() {
            return Ok((id, 0));
        }
        let _lock = self
            .store
            .lock(&key, || (self.progress)(Progress::Waiting { layer: &key }))
            .await?;
        if let Some(id) = here() {
            return Ok((id, 0));
        }
        let temporary = format!("{key}.{:016x}{TEMPORARY}", random());
        let result = self.unpack(layer, &key, &temporary).await;
        if result.is_err() {
            // The first error is the one to tell; what stays is swept by the next pull.
            if let Err(error) = self.worker.remove(&temporary).await {
                tracing::debug!(%error, temporary, "left for the next sweep");
            }
        }
        result
    }

    async fn unpack(
        &self,
        layer: &Layer,
        key: &str,
        temporary: &str,
    ) -> Result<(Digest, u64), PullError> {
        let content = self
            .transport
            .content(layer)
            .await
            .map_err(|error| PullError::new(self.image, error))?;
        let (reader, writer) = self.pipe(temporary)?;
        let (fed, unpacked) = futures_util::future::join(
            self.feed(content, writer, key, layer.size),
            self.worker.unpack(reader, temporary, Compression::Detect),
        )
        .await;
        let failed = |source| PullError::Unpack {
            image: self.image.to_owned(),
            layer: layer.diff_id,
            source,
        };
        // A download that fails makes the worker fail too, and a worker that fails makes it stop: tell the cause.
        let (bytes, unpacked) = match (fed, unpacked) {
            (Err(error), _) => return Err(PullError::new(self.image, error)),
            (Ok(_), Err(source)) => return Err(failed(source)),
            (Ok(None), Ok(_)) => {
                return Err(failed(crate::layer::UnpackError::Worker {
                    reason: "it stopped reading before the end".to_owned(),
                }));
            }
            (Ok(Some(bytes)), Ok(unpacked)) => (bytes, unpacked),
        };
        let Unpacked {
            diff_id: actual,
            size,
            entries,
        } = unpacked;
        if let Some(expected) = layer.diff_id.filter(|expected| *expected != actual) {
            return Err(PullError::DiffId {
                image: self.image.to_owned(),
                expected,
                actual,
            });
        }
        self.keep(temporary, &actual).await?;
        (self.progress)(Progress::Unpacked {
            layer: key,
            entries,
            size,
        });
        Ok((actual, bytes))
    }

    /// Writes the content into the pipe and closes it; `None` when the worker closed it first.
    async fn feed(
        &self,
        mut content: Content<'_>,
        mut writer: pipe::Sender,
        key: &str,
        total: u64,
    ) -> Result<Option<u64>, TransportError> {
        let mut done = 0;
        while let Some(chunk) = content.chunk().await? {
            if writer.write_all(&chunk).await.is_err() {
                return Ok(None);
            }
            done += chunk.len() as u64;
            (self.progress)(Progress::Fetching {
                layer: key,
                done,
                total,
            });
        }
        Ok(Some(done))
    }

    fn pipe(&self, temporary: &str) -> Result<(OwnedFd, pipe::Sender), StoreError> {
        let failed = |source| StoreError::new(Attempt::Pipe, &self.store.layer(temporary), source);
        let (reader, writer) =
            pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?;
        // Smaller is only slower: a user over pipe-user-pages-soft is refused.
        let _ = fcntl_setpipe_size(&writer, PIPE);
        Ok((reader, pipe::Sender::from_owned_fd(writer).map_err(failed)?))
    }

    /// Gives a whole layer its name; another one may have made it meanwhile from a bare archive.
    async fn keep(&self, temporary: &str, diff_id: &Digest) -> Result<(), PullError> {
        let (from, to) = (
            self.store.layer(temporary),
            self.store.layer(&diff_id.hex()),
        );
        match std::fs::rename(&from, &to) {
            Err(_) if to.is_dir() => {
                if let Err(error) = self.worker.remove(temporary).await {
                    tracing::debug!(%error, temporary, "left for the next sweep");
                }
                Ok(())
            }
            result => result.map_err(|source| StoreError::new(Attempt::Keep, &to, source).into()),
        }
    }
}

impl Store {
    /// Removes what crashed pulls left: temporary layers that nobody has locked.
    pub(super) async fn sweep(&self, worker: &dyn LayerWorker) -> Result<(), StoreError> {
        let failed = |source| StoreError::new(Attempt::List, &self.layers, source);
        for entry in std::fs::read_dir(&self.layers).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some((name, key)) = name
                .to_str()
                .and_then(|name| Some((name, temporary_key(name)?)))
            else {
                continue;
            };
            if let Some(_lock) = self.try_lock(key)?
                && let Err(error) = worker.remove(name).await
            {
                tracing::debug!(%error, name, "left for the next sweep");
            }
        }
        Ok(())
    }
}

/// The lock of a temporary layer.
fn temporary_key(name: &str) -> Option<&str> {
    let (key, _) = name.strip_suffix(TEMPORARY)?.split_once('.')?;
    let is_plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_plain.then_some(key)
}

/// The standard library's per-process random keys, which differ in each process and call.
fn random() -> u64 {
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}
