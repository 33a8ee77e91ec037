//! Small files written so that they are there whole or not at all: blobs by digest, and records.

use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::Store;
use super::error::{Attempt, StoreError};
use crate::image::{Digest, MAX_CONFIG};

impl Store {
    /// Keeps a document.
    pub(super) fn write_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        let path = self.blob_path(&digest);
        let is_here = self.read_blob(&digest).is_some();
        // A document that nothing refers to is removed when it is old; this one is about to be referred to.
        let is_fresh = is_here
            && std::fs::File::open(&path)
                .and_then(|file| file.set_modified(std::time::SystemTime::now()))
                .is_ok();
        if !is_fresh {
            self.write(&path, bytes)?;
        }
        Ok(digest)
    }

    /// A document; one that is missing or damaged (a power cut) is simply not there, and is fetched again.
    pub(super) fn read_blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        let bytes = read(&self.blob_path(digest))?;
        (Digest::of(&bytes) == *digest).then_some(bytes)
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> std::path::PathBuf {
        self.meta.join("blobs/sha256").join(digest.hex())
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
    read_if_there(path).ok().flatten()
}

/// The same where it matters whether it is not there or cannot be read.
pub(super) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(MAX_CONFIG).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::new(Attempt::Read, path, source)),
    }
}
