//! Why a cache cannot be had or kept.

use std::io;
use std::path::{Path, PathBuf};

/// Why a cache cannot be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The store.
    #[error("failed to {operation} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// It alone is more than all may be.
    #[error(
        "it has {size} bytes, and all caches of this machine may have {most} (`limits.caches` of its configuration)"
    )]
    TooLarge {
        /// Its bytes.
        size: u64,
        /// What there may be.
        most: u64,
    },
    /// The server cannot be asked, or refuses.
    #[error("{0}")]
    Server(String),
    /// The server has one, and its archive cannot be had.
    #[error("its archive cannot be fetched: {why}")]
    Unfetched {
        /// Which one: SHA-256, as the server has it.
        sha256: String,
        /// Why not.
        why: String,
    },
    /// Nobody is there who does it.
    #[error("whoever was to do it is gone: {0}")]
    Gone(String),
}

/// As an error of the store.
pub(super) fn failed<E: Into<io::Error>>(
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(E) -> CacheError {
    let path = path.to_owned();
    move |source| CacheError::Io {
        operation,
        path,
        source: source.into(),
    }
}
