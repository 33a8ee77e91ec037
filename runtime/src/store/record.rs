//! What a source was when it was last pulled.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Store;
use super::error::StoreError;
use super::pull::Image;
use crate::image::{Config, Digest, Source};
use crate::transport::FileIdentity;

/// Written as JSON; a newer program's record of another version is not understood, and the image is resolved anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    version: u32,
    /// As [`Source`] prints it, for people who look.
    source: String,
    platform: String,
    pub(super) digest: Option<Digest>,
    /// `None` for a bare archive.
    config: Option<Digest>,
    /// Base first.
    layers: Vec<Digest>,
    /// Of a source that is one file.
    pub(super) file: Option<FileIdentity>,
}

const VERSION: u32 = 1;

impl Record {
    pub(super) fn new(
        store: &Store,
        source: &Source,
        digest: Option<Digest>,
        config: Option<Digest>,
        layers: Vec<Digest>,
        file: Option<FileIdentity>,
    ) -> Self {
        let (source, platform) = (source.to_string(), store.platform.to_string());
        Self {
            version: VERSION,
            source,
            platform,
            digest,
            config,
            layers,
            file,
        }
    }

    /// The image, if all of it is in the store.
    pub(super) fn image(&self, store: &Store) -> Option<Image> {
        let names: Vec<String> = self.layers.iter().map(Digest::hex).collect();
        if !names.iter().all(|name| store.has_layer(name)) {
            return None;
        }
        let config = match &self.config {
            None => Config {
                diff_ids: self.layers.clone(),
                ..Config::default()
            },
            Some(digest) => Config::parse(&store.read_blob(digest)?).ok()?,
        };
        Some(Image::new(self.digest, config, names, 0))
    }
}

impl Store {
    pub(super) fn record(&self, source: &Source) -> Option<Record> {
        let record: Record =
            serde_json::from_slice(&super::blobs::read(&self.record_path(source))?).ok()?;
        // The name is a digest of these; they are compared all the same, since a record is only a file.
        let fits = record.version == VERSION
            && record.source == source.to_string()
            && record.platform == self.platform.to_string();
        fits.then_some(record)
    }

    pub(super) fn keep_record(&self, source: &Source, record: &Record) -> Result<(), StoreError> {
        let path = self.record_path(source);
        if self.record(source).as_ref() == Some(record) {
            return Ok(());
        }
        match serde_json::to_vec_pretty(record) {
            Ok(bytes) => self.write(&path, &bytes),
            Err(error) => Err(StoreError::new(
                super::error::Attempt::Write,
                &path,
                error.into(),
            )),
        }
    }

    fn record_path(&self, source: &Source) -> PathBuf {
        let key = Digest::of(format!("{source}\n{}", self.platform).as_bytes());
        self.meta.join("images").join(format!("{}.json", key.hex()))
    }
}
