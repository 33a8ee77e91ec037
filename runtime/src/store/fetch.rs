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
use super::layers::Facts;
use super::progress::Progress;
use crate::image::Digest;
use crate::layer::{Form, LayerWorker, UnpackError, Unpacked};
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
        if let Some(id) = layer.diff_id
            && self.store.use_layer_now(&key)?
        {
            return Ok((id, 0));
        }
        let _lock = self
            .store
            .lock(&key, || (self.progress)(Progress::Waiting { layer: &key }))
            .await?;
        if let Some(id) = layer.diff_id {
            self.store.lease_layer(&key)?;
            if self.store.has_layer(&key) {
                return Ok((id, 0));
            }
        }
        let names = Temporary::new(&key);
        let result = self.unpack(layer, &key, &names).await;
        if result.is_err() {
            // The first error is the one to tell; what stays is swept by the next pull.
            for name in [&names.tree, &names.recording] {
                self.leave(name).await;
            }
        }
        result
    }

    async fn unpack(
        &self,
        layer: &Layer,
        key: &str,
        names: &Temporary,
    ) -> Result<(Digest, u64), PullError> {
        let content = self
            .transport
            .content(layer)
            .await
            .map_err(|error| PullError::new(self.image, error))?;
        let recording = self.store.begin_recording(&names.recording)?;
        let (content, reader, writer) = match content {
            // Nothing passes through us.
            Content::Whole(file) => {
                let unpacking = self
                    .worker
                    .unpack(file.into(), recording, &names.tree, layer.form);
                let unpacked = unpacking
                    .await
                    .map_err(|source| self.failed(layer, source))?;
                return self.accept(layer, key, names, unpacked, layer.size).await;
            }
            content => {
                let (reader, writer) = self.pipe(&names.tree)?;
                (content, reader, writer)
            }
        };
        let (fed, unpacked) = futures_util::future::join(
            self.feed(content, writer, key, layer.size),
            self.worker
                .unpack(reader, recording, &names.tree, layer.form),
        )
        .await;
        let failed = |source| self.failed(layer, source);
        // A download that fails makes the worker fail too, and a worker that fails makes it stop: tell the cause.
        let (bytes, unpacked) = match (fed, unpacked) {
            (Err(error), _) => return Err(PullError::new(self.image, error)),
            (Ok(_), Err(source)) => return Err(failed(source)),
            (Ok(None), Ok(_)) => {
                return Err(failed(UnpackError::Worker {
                    reason: "it stopped reading before the end".to_owned(),
                }));
            }
            (Ok(Some(bytes)), Ok(unpacked)) => (bytes, unpacked),
        };
        self.accept(layer, key, names, unpacked, bytes).await
    }

    fn failed(&self, layer: &Layer, source: UnpackError) -> PullError {
        // A reader that died of what it read is its kind of saying so.
        let source = match source {
            UnpackError::Worker { .. } if layer.form == Form::Squashfs => UnpackError::FileSystem {
                reason: "its structure makes no sense, or is too large".to_owned(),
            },
            source => source,
        };
        PullError::Unpack {
            image: self.image.to_owned(),
            layer: layer.diff_id,
            source,
        }
    }

    /// Keeps a layer that is what it should be.
    async fn accept(
        &self,
        layer: &Layer,
        key: &str,
        names: &Temporary,
        unpacked: Unpacked,
        bytes: u64,
    ) -> Result<(Digest, u64), PullError> {
        let Unpacked {
            diff_id: actual,
            size,
            entries,
            is_recorded,
        } = unpacked;
        if let Some(expected) = layer.diff_id.filter(|expected| *expected != actual) {
            return Err(PullError::DiffId {
                image: self.image.to_owned(),
                expected,
                actual,
            });
        }
        self.keep(names, &actual, Facts { size, entries }, is_recorded)
            .await?;
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

    /// Gives a whole layer its name, after what is beside it; another one may have made it meanwhile from a bare archive,
    /// whose layer has no lock of its own until now.
    async fn keep(
        &self,
        names: &Temporary,
        diff_id: &Digest,
        facts: Facts,
        is_recorded: bool,
    ) -> Result<(), PullError> {
        let (store, name) = (self.store, diff_id.hex());
        let is_ours = names.tree.starts_with(&name);
        let _lock = match is_ours {
            true => None,
            false => Some(store.lock(&name, || ()).await?),
        };
        store.lease_layer(&name)?;
        if store.has_layer(&name) {
            self.leave(&names.tree).await;
            self.leave(&names.recording).await;
            return Ok(());
        }
        if is_recorded {
            store.keep_recording(&names.recording, &name)?;
        } else {
            self.leave(&names.recording).await;
        }
        store.keep_facts(&name, facts)?;
        let to = store.layer(&name);
        std::fs::rename(store.layer(&names.tree), &to)
            .map_err(|source| StoreError::new(Attempt::Keep, &to, source).into())
    }

    /// Removes what is not wanted any more, or leaves it to the next sweep.
    async fn leave(&self, name: &str) {
        if let Err(error) = self.worker.remove(name).await {
            tracing::debug!(%error, name, "left for the next sweep");
        }
    }
}

/// The names of a layer that is being unpacked.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) tree: String,
    pub(super) recording: String,
}

impl Temporary {
    pub(super) fn new(key: &str) -> Self {
        let random = random();
        Self {
            tree: format!("{key}.{random:016x}{TEMPORARY}"),
            recording: format!("{key}.{random:016x}.recording{TEMPORARY}"),
        }
    }
}

/// A name under which a layer is removed.
pub(super) fn trash(name: &str) -> String {
    format!("{name}.{:016x}{TEMPORARY}", random())
}

impl Store {
    /// Removes what crashed pulls left: temporary layers that nobody has locked. How many there were.
    pub(super) async fn sweep(&self, worker: &dyn LayerWorker) -> Result<usize, StoreError> {
        let mut count = 0;
        let failed = |source| StoreError::new(Attempt::List, &self.layers, source);
        for entry in std::fs::read_dir(&self.layers).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some((name, key)) = name
                .to_str()
                .and_then(|name| Some((name, temporary_key(name)?)))
            else {
                continue;
            };
            if let Some(_lock) = self.try_lock(key)? {
                match worker.remove(name).await {
                    Ok(()) => count += 1,
                    Err(error) => tracing::debug!(%error, name, "left for the next sweep"),
                }
            }
        }
        Ok(count)
    }
}

impl Store {
    /// How many temporary layers there are that nobody has locked.
    pub(super) fn remains(&self) -> Result<usize, StoreError> {
        let failed = |source| StoreError::new(Attempt::List, &self.layers, source);
        let mut count = 0;
        for entry in std::fs::read_dir(&self.layers).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(key) = name.to_str().and_then(temporary_key) {
                // Shared: who looks is in nobody's way.
                count += usize::from(self.try_lock_shared(key)?.is_some());
            }
        }
        Ok(count)
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
