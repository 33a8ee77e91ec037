//! Why a source did not give its image.

use std::path::PathBuf;

use crate::image::{ConfigError, Digest, ManifestError};
use crate::layer::UnpackError;
use crate::registry;

/// Why a source did not give its image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Why files on this machine are not the image they should be.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Not there, or not for us to read.
    #[error("failed to read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A directory, device or pipe.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// What it is not.
        path: PathBuf,
    },
    /// An archive without a file that it must have.
    #[error("{} holds no `{name}`", path.display())]
    Missing {
        /// The archive.
        path: PathBuf,
        /// The file's name in it.
        name: String,
    },
    /// A document larger than any of its kind.
    #[error("{} has {size} bytes; at most {limit} are read", path.display())]
    TooLarge {
        /// The document.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// What we read.
        limit: u64,
    },
    /// A blob that is not what its name says.
    #[error("{} has the digest {actual}, not {expected}", path.display())]
    Digest {
        /// The blob.
        path: PathBuf,
        /// Its name.
        expected: Digest,
        /// Its content's.
        actual: Digest,
    },
    /// A blob of another size than its descriptor says.
    #[error("{} has {actual} bytes, not {expected}", path.display())]
    Size {
        /// The blob.
        path: PathBuf,
        /// The descriptor's.
        expected: u64,
        /// The blob's.
        actual: u64,
    },
    /// The archive itself is damaged.
    #[error("failed to read the archive {}: {source}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Where.
        source: UnpackError,
    },
    /// A compressed archive could not be unpacked to a temporary file.
    #[error("failed to unpack the archive {} to a temporary file: {source}", path.display())]
    Scratch {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not of the format.
    #[error("{} is not valid: {source}", path.display())]
    Json {
        /// The document.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
    /// None of the images has the tag.
    #[error("{} holds no image `{wanted}`; it holds {}", path.display(), list(offered))]
    NoSuchImage {
        /// The layout or archive.
        path: PathBuf,
        /// The tag or reference.
        wanted: String,
        /// What there is.
        offered: Vec<String>,
    },
    /// Several images and no tag.
    #[error("{} holds several images; name one of {}", path.display(), list(offered))]
    Several {
        /// The layout or archive.
        path: PathBuf,
        /// What there is.
        offered: Vec<String>,
    },
    /// An image that has no name where it is read from, and got none.
    #[error("{} holds an image without a name", path.display())]
    Unnamed {
        /// The archive.
        path: PathBuf,
    },
    /// Not what it was said to be, or of a kind that is not supported.
    #[error("{} {why}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// In words that stand behind its name.
        why: &'static str,
    },
    /// The manifest and the configuration disagree.
    #[error("the image has {layers} layers but {diff_ids} diff IDs")]
    Layers {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
    /// An index in an index in an index.
    #[error("the image's indexes are nested too deeply")]
    Nested,
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none with a name".to_owned();
    }
    names
        .iter()
        .take(16)
        .map(|name| format!("`{}`", name.escape_debug()))
        .collect::<Vec<_>>()
        .join(", ")
}
