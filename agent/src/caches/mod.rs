//! Caches: what a job asks for, where archives are kept on this machine, and where they are from. When they are put back and made
//! is the executor's business.
//!
//! ```text
//! Wanted (key, fallback, paths) --Caches::find--> Hit (an archive of the store) --> put back
//!                               <--Draft (an archive in the making)--Caches::keep-- packed
//! ```

mod error;
mod index;
mod local;
mod remote;
mod store;
mod wanted;

pub use error::CacheError;
pub use index::Entry;
pub use local::Local;
pub use remote::{CacheReply, Remote, WANTED};
pub use store::{Draft, Store};
pub use wanted::{Place, Wanted};

use std::fs::File;

/// A cache that is there.
#[derive(Debug)]
pub struct Hit {
    /// Its key.
    pub key: String,
    /// It is the key that was asked for.
    pub is_exact: bool,
    /// Its archive, which is what it should be.
    pub archive: File,
    /// Bytes of it.
    pub size: u64,
    /// SHA-256 of it, 64 hexadecimal digits.
    pub sha256: String,
}

/// An archive that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Bytes of it.
    pub size: u64,
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
    /// Files, directories and links in it.
    pub files: u64,
    /// The archive that was found under the key and was of no use: SHA-256 of it.
    pub instead_of: Option<String>,
}

/// What became of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is the cache of its key now.
    First,
    /// Somebody else's is.
    Taken,
}

/// Where a run's caches are. Cheap to copy.
#[derive(Debug, Clone)]
pub enum Caches {
    /// On this machine only.
    Local(Local),
    /// A server's.
    Remote(Remote),
}

impl Caches {
    /// The store that archives are in.
    #[must_use]
    pub const fn store(&self) -> &Store {
        match self {
            Self::Local(local) => local.store(),
            Self::Remote(remote) => remote.store(),
        }
    }

    /// How many bytes the files of the next one may have that a job keeps.
    #[must_use]
    pub fn room(&self) -> u64 {
        match self {
            Self::Local(local) => local.store().most_of_one(),
            Self::Remote(remote) => remote.room(),
        }
    }

    /// Looks for a cache.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, wanted: &Wanted) -> Result<Option<Hit>, CacheError> {
        match self {
            Self::Local(local) => {
                let (local, wanted) = (local.clone(), wanted.clone());
                blocking(move || local.find(&wanted)).await
            }
            Self::Remote(remote) => remote.find(wanted).await,
        }
    }

    /// A file for an archive in the making.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn draft(&self) -> Result<Draft, CacheError> {
        let store = self.store().clone();
        blocking(move || store.draft()).await
    }

    /// Keeps an archive under the key of what was wanted. The first one under a key stays, unless it is the one that was of no use.
    ///
    /// # Errors
    /// It cannot be kept.
    pub async fn keep(
        &self,
        wanted: &Wanted,
        draft: Draft,
        made: Made,
    ) -> Result<Kept, CacheError> {
        match self {
            Self::Local(local) => {
                let (local, wanted) = (local.clone(), wanted.clone());
                blocking(move || local.keep(&wanted, draft, &made)).await
            }
            Self::Remote(remote) => {
                let (remote, wanted) = (remote.clone(), wanted.clone());
                blocking(move || remote.keep(&wanted, draft, &made)).await
            }
        }
    }
}

/// Of some bytes, as an archive's is told.
#[cfg(test)]
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    wanted::hex(&sha2::Sha256::digest(bytes))
}

/// What waits for a disk, away from those who do not.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CacheError> + Send + 'static,
) -> Result<T, CacheError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(CacheError::Gone(error.to_string())))
}
