//! Manifests and configurations that no image needs any more.

use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;

use super::Store;
use super::blobs::read_if_there;
use super::error::{Attempt, StoreError};
use super::layers::remove_file;
use super::record::Record;
use crate::image::{Descriptor, Digest};

/// A document that nothing refers to may be about to be: a pull writes it before the record.
const FRESH: Duration = Duration::from_secs(3600);

impl Store {
    /// Removes old documents that no record refers to. None at all while there is a newer program's record, which may refer
    /// to any.
    pub(super) fn collect_documents(&self) -> Result<(), StoreError> {
        let mut wanted = HashSet::new();
        for (_, path) in self.record_paths()? {
            let Some(bytes) = read_if_there(&path)? else {
                continue;
            };
            match Record::parse(&bytes) {
                Some(record) => {
                    for digest in [record.digest, record.config].into_iter().flatten() {
                        self.add_documents(digest, &mut wanted)?;
                    }
                }
                // A power cut may leave an empty file.
                None if serde_json::from_slice::<serde_json::Value>(&bytes).is_err() => {}
                None => return Ok(()),
            }
        }
        let directory = self.meta.join("blobs/sha256");
        let failed = |source| StoreError::new(Attempt::List, &directory, source);
        for entry in std::fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_wanted = entry
                .file_name()
                .to_str()
                .is_none_or(|name| wanted.contains(name));
            let age = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .map(|time| time.elapsed().unwrap_or_default());
            if !is_wanted && age.is_ok_and(|age| age > FRESH) {
                remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// A document and, when it is an index, the manifests of it that are here.
    fn add_documents(
        &self,
        digest: Digest,
        wanted: &mut HashSet<String>,
    ) -> Result<(), StoreError> {
        #[derive(Deserialize, Default)]
        struct Index {
            #[serde(default)]
            manifests: Vec<Descriptor>,
        }
        let mut rest = vec![digest];
        while let Some(digest) = rest.pop() {
            if wanted.insert(digest.hex())
                && let Some(bytes) = read_if_there(&self.blob_path(&digest))?
            {
                let index = serde_json::from_slice::<Index>(&bytes).unwrap_or_default();
                rest.extend(index.manifests.iter().map(|descriptor| descriptor.digest));
            }
        }
        Ok(())
    }
}
