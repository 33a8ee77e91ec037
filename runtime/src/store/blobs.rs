//! Small files written so that they are there whole or not at all: blobs by digest, and records.

use std::io::{Read as _, Write as _};
use std::path::Path;

use super::Store;
use super::error::{Attempt, StoreError};
use crate::image::{Digest, MAX_CONFIG};

impl Store {
    /// Keeps a document.
    pub(super) fn write_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if self.read_blob(&digest).is_none() {
            self.write(&self.meta.join("blobs/sha256").join(digest.hex()), bytes)?;
        }
        Ok(digest)
    }

    /// A document; one that is missing or damaged (a power cut) is simply not there, and is fetched again.
    pub(super) fn read_blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        let bytes = read(&self.meta.join("blobs/sha256").join(digest.hex()))?;
        (Digest::of(&bytes) == *digest).then_some(bytes)
    }

    /// Replaces a file of the store.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(self.meta.join("tmp"))?;
            file.write_all(bytes)?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(|source| StoreError::new(Attempt::Write, path, source))
    }
}

/// A file of the store's, bounded.
pub(super) fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .ok()?
        .take(MAX_CONFIG)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}
