//! Caches: what jobs keep for later ones, each as one archive.
//!
//! ```text
//! agent   POST ../attempts/N/caches {key, fallback, version} -> CacheAnswer    before the first step
//!         GET ../attempts/N/caches/ID                        -> the archive    unless it has one of this SHA-256
//!         PATCH ../attempts/N/logs/cache-0 ..                                  behind the last step
//!         POST ../attempts/N/finish {caches: [CacheEnd]}                       the first under a key counts, unless it was of no use
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{JobId, StreamName};
use crate::is_sha256;

/// A cache of a server.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
pub struct CacheId(pub u64);

impl fmt::Display for CacheId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for CacheId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What a job that is about to run looks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheQuery {
    /// The key: [`is_cache_key`](pipelines::plan::is_cache_key).
    pub key: String,
    /// Beginnings of other keys, best first; at most [`limits::CACHE_KEYS`](super::limits::CACHE_KEYS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    /// What a cache must have in common beside its key: 64 lower-case hexadecimal digits, of the agents' making.
    pub version: String,
}

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheAnswer {
    /// The cache to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<CacheFound>,
}

/// A cache to start from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheFound {
    /// By which its archive is fetched.
    pub id: CacheId,
    /// Its key.
    pub key: String,
    /// It is the key that was asked for.
    pub exact: bool,
    /// Bytes of the archive.
    pub size: u64,
    /// Of the archive: SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// A cache that an attempt leaves. Its archive, a zstd-compressed tar, is a stream `cache-N`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheEnd {
    /// The archive.
    #[schema(value_type = String, example = "cache-0")]
    pub stream: StreamName,
    /// Under which key.
    pub key: String,
    /// As for [`CacheQuery`].
    pub version: String,
    /// Files, directories and links in it.
    pub files: u64,
    /// Of the archive: SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Of the archive that was there and that the agent could not use. Where the job's own scope has just that under the key, this one takes
    /// its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
}

/// A cache as the server has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cache {
    /// By which it is removed.
    pub id: CacheId,
    /// The repository's URL.
    pub repository: String,
    /// Which jobs write to it: `branch:NAME`, `tag:NAME`, `pull-request:NAME`, `fork:NAME`.
    pub scope: String,
    /// Its key.
    pub key: String,
    /// Bytes of the archive.
    pub size: u64,
    /// Files, directories and links in it.
    pub files: u64,
    /// Of the archive: SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The job that has made it.
    pub job: JobId,
    /// When.
    pub created_at: u64,
    /// When a job last started from it, or it was made.
    pub used_at: u64,
}

/// Caches, those used last first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Caches {
    /// At most 1,000.
    pub caches: Vec<Cache>,
}

impl CacheQuery {
    /// Whether it is said as it has to be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let mut keys = std::iter::once(&self.key).chain(&self.fallback);
        self.fallback.len() <= super::limits::CACHE_KEYS
            && keys.all(|key| pipelines::plan::is_cache_key(key))
            && is_sha256(&self.version)
    }
}

impl CacheFound {
    /// Whether it is said as it has to be: agents make names of files of it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        pipelines::plan::is_cache_key(&self.key) && is_sha256(&self.sha256)
    }
}

impl CacheEnd {
    /// Whether it is said as it has to be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.stream.is_cache()
            && pipelines::plan::is_cache_key(&self.key)
            && is_sha256(&self.version)
            && is_sha256(&self.sha256)
            && self.instead_of.as_deref().is_none_or(is_sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_names_no_file_of_an_agent() {
        let found = |sha256: &str| CacheFound {
            id: CacheId(1),
            key: "key".to_owned(),
            exact: true,
            size: 1,
            sha256: sha256.to_owned(),
        };
        assert!(found(&"0a".repeat(32)).is_sound());
        assert!(!found("/etc/passwd").is_sound());
    }
}
