//! Artifacts: files that jobs leave, each artifact as one archive.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An artifact that an attempt has left. Its archive, a gzipped tar, is the stream `artifact-NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactEnd {
    /// Its name: [`is_artifact_name`](pipelines::plan::is_artifact_name).
    pub name: String,
    /// Files, directories and links in it.
    pub files: u64,
    /// Bytes of its files' contents.
    pub bytes: u64,
    /// Of the archive: SHA-256, 64 lower-case hexadecimal digits, as `sha256sum` prints it.
    pub sha256: String,
    /// How long it is to be kept, milliseconds; `None` leaves it to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_ms: Option<u64>,
}

/// An artifact as the server has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Artifact {
    /// The attempt that has left it.
    pub attempt: u32,
    /// Its name.
    pub name: String,
    /// Bytes of the archive.
    pub size: u64,
    /// Files, directories and links in it.
    pub files: u64,
    /// Bytes of its files' contents.
    pub bytes: u64,
    /// Of the archive: SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// When it came.
    pub created_at: u64,
    /// Until when it is kept; `None` is for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// It is not there any more: its time is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
}

/// The artifacts of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Artifacts {
    /// Of all attempts that were finished, the last one's first; within one by name.
    pub artifacts: Vec<Artifact>,
}

impl ArtifactEnd {
    /// Whether it is said as it has to be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        pipelines::plan::is_artifact_name(&self.name) && crate::is_sha256(&self.sha256)
    }
}
