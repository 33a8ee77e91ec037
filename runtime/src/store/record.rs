//! What a source was when it was last pulled.

use std::path::PathBuf;
use std::time::SystemTime;

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
    pub(super) config: Option<Digest>,
    /// Base first.
    pub(super) layers: Vec<Digest>,
    /// Of a source that is one file.
    pub(super) file: Option<FileIdentity>,
    /// The name was given on this machine (`tag`, `load`), so that no registry is asked about it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) is_local: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's interface")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// A record found in the store.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Its name, and that of its lock.
    pub(super) key: String,
    pub(super) record: Record,
    /// When the image was last asked for.
    pub(super) used: SystemTime,
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
            is_local: false,
        }
    }

    /// One that this program understands.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let record: Self = serde_json::from_slice(bytes).ok()?;
        (record.version == VERSION).then_some(record)
    }

    /// The same for a name of this machine's own.
    pub(super) fn local(&self, source: &Source) -> Self {
        Self {
            source: source.to_string(),
            file: None,
            is_local: true,
            ..self.clone()
        }
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The names of its layers, base first.
    pub(super) fn layer_names(&self) -> Vec<String> {
        self.layers.iter().map(Digest::hex).collect()
    }

    /// The image's configuration document; a bare archive has one that says nothing.
    pub(super) fn config_document(&self, store: &Store) -> Option<Vec<u8>> {
        match &self.config {
            Some(digest) => store.read_blob(digest),
            None => {
                let architecture = &store.platform.architecture;
                let layers = &self.layers;
                let document = serde_json::json!({
                    "architecture": architecture,
                    "os": "linux",
                    "config": {},
                    "rootfs": { "type": "layers", "diff_ids": layers },
                });
                serde_json::to_vec(&document).ok()
            }
        }
    }

    /// Whether the document that the name stands for is gone or damaged.
    pub(super) fn lacks_manifest(&self, store: &Store) -> bool {
        self.digest
            .is_some_and(|digest| store.read_blob(&digest).is_none())
    }

    /// The image, if all of it is in the store.
    pub(super) fn image(&self, store: &Store) -> Option<Image> {
        let names = self.layer_names();
        if self.lacks_manifest(store) || !names.iter().all(|name| store.has_layer(name)) {
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
        // What is asked for by its digest is that, whoever has written the record.
        let pinned = match source {
            Source::Registry(reference) => reference.digest(),
            _ => None,
        };
        let is_pinned = pinned.is_none() || (record.digest == pinned && !record.is_local);
        (fits && is_pinned).then_some(record)
    }

    /// Writes what a source is now, and that this process uses it. Whoever removes a record holds its lock alone, so that the
    /// one that takes an old one's place is not removed for it.
    pub(super) async fn keep_record(
        &self,
        source: &Source,
        record: &Record,
    ) -> Result<(), StoreError> {
        let key = self.record_key(source);
        let _lock = self.lock_shared(&key).await?;
        self.lease_image(&key)?;
        let path = self.record_file(&key);
        if self.record(source).as_ref() == Some(record) {
            self.touch(&key);
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

    /// All records that this program understands.
    pub(super) fn records(&self) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::new();
        for (key, _) in self.record_paths()? {
            found.extend(self.found(key));
        }
        Ok(found)
    }

    /// A record by its name, if this program understands it.
    pub(super) fn found(&self, key: String) -> Option<Found> {
        let path = self.record_file(&key);
        let record = Record::parse(&super::blobs::read(&path)?)?;
        let used = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
        let used = used.ok()?;
        Some(Found { key, record, used })
    }

    /// Names and places of all records, whoever has written them.
    pub(super) fn record_paths(&self) -> Result<Vec<(String, PathBuf)>, StoreError> {
        let directory = self.meta.join("images");
        let failed = |source| StoreError::new(super::error::Attempt::List, &directory, source);
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let key = path
                .file_name()
                .and_then(|name| name.to_str()?.strip_suffix(".json").map(str::to_owned));
            if let Some(key) = key {
                paths.push((key, path));
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Notes that an image was asked for now.
    pub(super) fn touch(&self, key: &str) {
        let now = std::fs::File::open(self.record_file(key))
            .and_then(|file| file.set_modified(SystemTime::now()));
        if let Err(error) = now {
            tracing::debug!(%error, key, "when the image was last used is not noted");
        }
    }

    pub(super) fn record_key(&self, source: &Source) -> String {
        Digest::of(format!("{source}\n{}", self.platform).as_bytes()).hex()
    }

    pub(super) fn record_file(&self, key: &str) -> PathBuf {
        self.meta.join("images").join(format!("{key}.json"))
    }

    fn record_path(&self, source: &Source) -> PathBuf {
        self.record_file(&self.record_key(source))
    }
}
