//! A pointer to a content: media type, digest, size (OCI image specification, descriptor.md).

use serde::{Deserialize, Serialize};

use super::{Digest, Platform};

/// A pointer to a content. Fields this code has no use for are ignored, as the specification asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    #[serde(default)]
    pub media_type: String,
    /// Its name, and the proof of it.
    pub digest: Digest,
    /// In bytes; a content of another size is not the one meant.
    pub size: u64,
    /// For which machine, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Free text; `org.opencontainers.image.ref.name` is the tag in an OCI layout.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub annotations: std::collections::BTreeMap<String, String>,
}

/// Why a layer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// A layer of a kind that is no tar archive.
    #[error("layer {digest} has the unsupported media type `{media_type}`")]
    LayerType {
        /// The layer.
        digest: Digest,
        /// What it says of itself.
        media_type: String,
    },
    /// A layer that its maker does not allow registries to serve (Windows base images).
    #[error("layer {digest} is a foreign layer (`{media_type}`), which registries do not serve")]
    Foreign {
        /// The layer.
        digest: Digest,
        /// What it says of itself.
        media_type: String,
    },
}

impl Descriptor {
    /// Checks that this points to a layer we can unpack. The compression is not taken from here: it is read from the
    /// content's first bytes, since tools are known to mislabel it, and the diff ID proves the result.
    ///
    /// # Errors
    /// The content is no tar archive, or not to be had from a registry.
    pub fn check_layer(&self) -> Result<(), DescriptorError> {
        const TAR: [&str; 8] = [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.oci.image.layer.v1.tar+zstd",
            "application/vnd.docker.image.rootfs.diff.tar",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.diff.tar.zstd",
            // As buildah writes it into a schema 2 manifest when it is told not to compress.
            "application/vnd.docker.image.rootfs.diff.tar+gzip",
            "application/vnd.docker.image.rootfs.diff.tar+zstd",
        ];
        let (digest, media_type) = (self.digest, printable(&self.media_type));
        if TAR.contains(&self.media_type.as_str()) {
            Ok(())
        } else if media_type.contains("nondistributable") || media_type.contains("foreign") {
            Err(DescriptorError::Foreign { digest, media_type })
        } else {
            Err(DescriptorError::LayerType { digest, media_type })
        }
    }
}

/// A text of someone else's, fit for a message: at most 128 characters, no control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .take(128)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
