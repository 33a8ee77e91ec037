//! Images that are made here: a layer from what was written to a root, an image from layers and a configuration, and what an
//! earlier build has made of the same.
//!
//! ```text
//! meta/   builds/KEY.json    which layer an instruction has made; KEY is a digest of all that it was made from
//! ```

use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use super::Store;
use super::error::{Attempt, StoreError};
use super::fetch::Temporary;
use super::layers::Facts;
use super::record::Record;
use crate::image::{Config, ConfigError, Digest, Reference, Source};
use crate::layer::{BoxFuture, Form, LayerWorker, TransferError, UnpackError, Unpacked};

/// Layers that are made at once; of each the lock is held until it has its name, so that no sweep takes it for a dead one's.
const LOCKS: u32 = 64;

/// Why something could not be added to the store.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// What was written cannot be read.
    #[error("failed to pack what was written: {0}")]
    Pack(#[from] TransferError),
    /// A layer cannot be made of it.
    #[error("failed to keep what was written: {0}")]
    Unpack(#[from] UnpackError),
    /// The configuration is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an instruction has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// `None` where nothing was written.
    pub layer: Option<Digest>,
    /// When (RFC 3339).
    pub created: String,
}

impl Store {
    /// Keeps a layer of an archive that `packing` writes.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub(crate) async fn commit_layer(
        &self,
        archive: OwnedFd,
        packing: BoxFuture<'_, Result<(), TransferError>>,
        worker: &dyn LayerWorker,
    ) -> Result<Digest, CommitError> {
        // Lock files stay: there are to be so many and no more.
        let key = format!("build-{}", std::process::id() % LOCKS);
        let _lock = self.lock(&key, || ()).await?;
        let names = Temporary::new(&key);
        let made = self.make_layer(archive, packing, &names, worker).await;
        if made.is_err() {
            for name in [&names.tree, &names.recording] {
                leave(name, worker).await;
            }
        }
        made
    }

    async fn make_layer(
        &self,
        archive: OwnedFd,
        packing: BoxFuture<'_, Result<(), TransferError>>,
        names: &Temporary,
        worker: &dyn LayerWorker,
    ) -> Result<Digest, CommitError> {
        let recording = self.begin_recording(&names.recording)?;
        let unpacking = worker.unpack(archive, recording, &names.tree, Form::Tar);
        let (packed, unpacked) = futures_util::future::join(packing, unpacking).await;
        // The first that fails makes the other fail.
        packed?;
        let Unpacked {
            diff_id,
            size,
            entries,
            is_recorded,
        } = unpacked?;
        let name = diff_id.hex();
        let _lock = self.lock(&name, || ()).await?;
        self.lease_layer(&name)?;
        if self.has_layer(&name) {
            leave(&names.tree, worker).await;
            leave(&names.recording, worker).await;
            return Ok(diff_id);
        }
        if is_recorded {
            self.keep_recording(&names.recording, &name)?;
        } else {
            leave(&names.recording, worker).await;
        }
        self.keep_facts(&name, Facts { size, entries })?;
        let to = self.layer(&name);
        std::fs::rename(self.layer(&names.tree), &to)
            .map_err(|source| StoreError::new(Attempt::Keep, &to, source))?;
        Ok(diff_id)
    }

    /// What an earlier build has made of the same, if it is still here; then it stays, as long as this process lives.
    pub(crate) async fn made(&self, key: &Digest) -> Result<Option<Made>, StoreError> {
        let path = self.made_path(key);
        let Some(made) =
            super::blobs::read(&path).and_then(|bytes| serde_json::from_slice::<Made>(&bytes).ok())
        else {
            return Ok(None);
        };
        if let Some(layer) = made.layer
            && !self.use_layers(&[layer.hex()]).await?
        {
            super::layers::remove_file(path)?;
            return Ok(None);
        }
        Ok(Some(made))
    }

    /// Writes down what was made.
    pub(crate) fn keep_made(&self, key: &Digest, made: &Made) -> Result<(), StoreError> {
        let directory = self.meta.join("builds");
        std::fs::create_dir_all(&directory)
            .map_err(|source| StoreError::new(Attempt::MakeDirectory, &directory, source))?;
        let path = self.made_path(key);
        match serde_json::to_vec(made) {
            Ok(bytes) => self.write(&path, &bytes),
            Err(error) => Err(StoreError::new(Attempt::Write, &path, error.into())),
        }
    }

    fn made_path(&self, key: &Digest) -> std::path::PathBuf {
        self.meta.join("builds").join(format!("{}.json", key.hex()))
    }

    /// Forgets what was made of layers that are gone.
    pub(super) fn forget_made(&self) -> Result<(), StoreError> {
        let directory = self.meta.join("builds");
        let failed = |source| StoreError::new(Attempt::List, &directory, source);
        let entries = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            result => result.map_err(failed)?,
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let made = super::blobs::read(&path)
                .and_then(|bytes| serde_json::from_slice::<Made>(&bytes).ok());
            let is_here = match made {
                Some(made) => made.layer.is_none_or(|layer| self.has_layer(&layer.hex())),
                None => false,
            };
            if !is_here {
                super::layers::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Keeps an image under names; without one, under one of its id (`localhost/build:ID`). The names, as they are kept.
    ///
    /// # Errors
    /// The configuration is not one that can be run, or the store cannot be written.
    pub async fn keep_image(
        &self,
        config: &[u8],
        names: &[Reference],
    ) -> Result<(Digest, Vec<String>), CommitError> {
        let parsed = Config::parse(config)?;
        let id = self.write_blob(config)?;
        let own = format!("localhost/build:{}", &id.hex()[..12]);
        let names = match (names, own.parse()) {
            ([], Ok(own)) => vec![own],
            (names, _) => names.to_vec(),
        };
        let mut kept = Vec::new();
        for name in names {
            let source = Source::Registry(name);
            let layers = parsed.diff_ids.clone();
            let record = Record::new(self, &source, None, Some(id), layers, None);
            self.keep_record(&source, &record.local(&source)).await?;
            kept.push(source.to_string());
        }
        Ok((id, kept))
    }

    /// The configuration document of an image that was pulled under this name.
    pub(crate) fn config_of(&self, source: &Source) -> Option<Vec<u8>> {
        self.record(source)?.config_document(self)
    }
}

/// Removes what is not wanted any more, or leaves it to the next sweep.
async fn leave(name: &str, worker: &dyn LayerWorker) {
    if let Err(error) = worker.remove(name).await {
        tracing::debug!(%error, name, "left for the next sweep");
    }
}
