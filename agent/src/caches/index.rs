//! Which key stands for which archive.
//!
//! ```text
//! <data>/caches/index/<repository>/<scope, version and key>.json
//! ```
//! Names are hashes: what people write is in the file. An entry whose archive is gone counts as none, and is removed by the next
//! who adds one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::{CacheError, failed};
use super::store::{Guard, Store, make, sync_directory};
use super::wanted::hex;

/// Bytes of an entry.
const LONGEST: u64 = 64 << 10;

/// A key and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Whose it is.
    pub repository: String,
    /// Which jobs share it.
    pub scope: String,
    /// Of its paths ([`super::Wanted::version`]).
    pub version: String,
    /// Its key.
    pub key: String,
    /// The archive.
    pub sha256: String,
    /// Bytes of it.
    pub size: u64,
    /// Files, directories and links in it.
    pub files: u64,
    /// Unix milliseconds.
    pub created_at: u64,
}

impl Entry {
    fn path(&self, store: &Store) -> PathBuf {
        let name = [&self.scope, &self.version, &self.key];
        directory(store, &self.repository).join(format!("{}.json", hash(&name.map(String::as_str))))
    }

    /// Removes it. Its archive goes when there is need of room.
    pub(super) fn remove(&self, store: &Store, _guard: &Guard) -> Result<(), CacheError> {
        let path = self.path(store);
        fs::remove_file(&path).map_err(failed("remove", &path))
    }

    /// Adds it, unless there is one of its key already whose archive is there: `false`.
    pub(super) fn add(&self, store: &Store, _guard: &Guard) -> Result<bool, CacheError> {
        let path = self.path(store);
        let parent = directory(store, &self.repository);
        make(&parent)?;
        if path.exists() {
            return Ok(false);
        }
        let unfinished = path.with_extension("unfinished");
        let text = serde_json::to_vec(self)
            .map_err(io::Error::from)
            .map_err(failed("write", &path))?;
        OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut file| {
                file.write_all(&text)?;
                file.sync_all()
            })
            .map_err(failed("write", &unfinished))?;
        fs::rename(&unfinished, &path).map_err(failed("name", &path))?;
        sync_directory(&parent)?;
        Ok(true)
    }
}

/// All entries of a repository whose archives are there, the oldest first. One that cannot be understood is none.
pub(super) fn all(store: &Store, repository: &str) -> Vec<Entry> {
    let mut all: Vec<Entry> = files(store, repository)
        .filter_map(|path| read(&path))
        .filter(|entry| entry.repository == repository && store.has(&entry.sha256))
        .collect();
    all.sort_by(|one, other| (one.created_at, &one.key).cmp(&(other.created_at, &other.key)));
    all
}

/// Removes what stands for an archive that is gone, or cannot be understood.
pub(super) fn forget_gone(store: &Store, _guard: &Guard, repository: &str) {
    for path in files(store, repository) {
        if !read(&path).is_some_and(|entry| store.has(&entry.sha256))
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::debug!(%error, path = %path.display(), "an entry of a cache stays");
        }
    }
}

fn files(store: &Store, repository: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory(store, repository));
    let paths = entries.into_iter().flatten().flatten();
    paths.map(|entry| entry.path())
}

fn read(path: &std::path::Path) -> Option<Entry> {
    let is_whole = path
        .extension()
        .is_some_and(|extension| extension == "json");
    let mut text = Vec::new();
    let file = File::open(path).ok().filter(|_| is_whole)?;
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    let entry: Entry = serde_json::from_slice(&text).ok()?;
    // It becomes a part of a path.
    protocol::is_sha256(&entry.sha256).then_some(entry)
}

fn directory(store: &Store, repository: &str) -> PathBuf {
    store.index().join(hash(&[repository]))
}

fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}
