use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{Answer, Request};

/// An image of an OCI layout, held in memory, and a registry's answers for it, so that a test need only say what goes
/// wrong.
#[derive(Debug, Clone)]
pub struct ServedImage {
    manifest: String,
    media_type: String,
    layer: String,
    blobs: HashMap<String, Vec<u8>>,
}

impl ServedImage {
    /// Reads the first image of a layout.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn of_layout(layout: &Path) -> Self {
        let index: Value =
            json(&fs::read(layout.join("index.json")).expect("read the layout's index"));
        let text = |value: &Value| {
            value
                .as_str()
                .expect("a string of an OCI document")
                .to_owned()
        };
        let manifest = text(&index["manifests"][0]["digest"]);
        let media_type = text(&index["manifests"][0]["mediaType"]);
        let mut blobs = HashMap::new();
        for entry in fs::read_dir(layout.join("blobs/sha256")).expect("list the layout's blobs") {
            let path = entry.expect("list the layout's blobs").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            blobs.insert(
                format!("sha256:{name}"),
                fs::read(&path).expect("read a blob"),
            );
        }
        let layer = text(&json(&blobs[&manifest])["layers"][0]["digest"]);
        Self {
            manifest,
            media_type,
            layer,
            blobs,
        }
    }

    /// Whether a request is for the manifest, by tag or by digest.
    #[must_use]
    pub fn is_manifest(request: &Request) -> bool {
        request.path.contains("/manifests/")
    }

    /// Whether a request is for the first layer.
    #[must_use]
    pub fn is_layer(&self, request: &Request) -> bool {
        request.path.ends_with(&self.layer)
    }

    /// The first layer's bytes.
    #[must_use]
    pub fn layer(&self) -> &[u8] {
        &self.blobs[&self.layer]
    }

    /// What a registry in good health would say: any name and any tag are this image; it does not know ranges.
    #[must_use]
    pub fn answer(&self, request: &Request) -> Answer {
        let path = request.path.as_str();
        let manifest = || {
            Answer::new(200, self.blobs[&self.manifest].clone())
                .header("Content-Type", self.media_type.clone())
                .header("Docker-Content-Digest", self.manifest.clone())
        };
        if path == "/v2/" {
            Answer::new(200, "{}")
        } else if let Some((_, reference)) = path.split_once("/manifests/") {
            if !reference.starts_with("sha256:") || reference == self.manifest {
                manifest()
            } else {
                not_found()
            }
        } else if let Some(blob) = path
            .rsplit_once('/')
            .and_then(|(_, digest)| self.blobs.get(digest))
        {
            Answer::new(200, blob.clone()).header("Content-Type", "application/octet-stream")
        } else {
            not_found()
        }
    }
}

fn not_found() -> Answer {
    Answer::new(
        404,
        r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}"#,
    )
    .header("Content-Type", "application/json")
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("an OCI document is JSON")
}
