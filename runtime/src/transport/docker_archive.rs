//! What `docker save` and `podman save` write: `manifest.json` with each image's configuration and layers (Docker image
//! specification v1.2, "Combined Image JSON + Filesystem Changeset Format").

use serde::Deserialize;

use super::error::{LocalError, TransportError};
use super::files::Files;
use super::resolved::{At, Resolved};
use crate::image::{MAX_CONFIG, MAX_LAYERS, MAX_MANIFEST, ManifestError, Reference};

/// The archive's list of images.
pub(super) const MANIFEST: &str = "manifest.json";

/// One image of the archive.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// The image with the reference, or the only one.
pub(super) async fn resolve(
    files: &Files,
    reference: Option<&Reference>,
) -> Result<Resolved, TransportError> {
    let images = images(files).await?;
    one(files, choose(&images, reference, files)?).await
}

/// Every image, with its names.
pub(super) async fn all(files: &Files) -> Result<Vec<(Vec<String>, Saved)>, TransportError> {
    let images = images(files).await?.into_iter();
    Ok(images
        .map(|image| (image.repo_tags.clone().unwrap_or_default(), image))
        .collect())
}

async fn images(files: &Files) -> Result<Vec<Saved>, LocalError> {
    let bytes = files.read(MANIFEST, MAX_MANIFEST).await?;
    serde_json::from_slice(&bytes).map_err(|source| LocalError::Json {
        path: files.path().join(MANIFEST),
        source,
    })
}

pub(super) async fn one(files: &Files, image: &Saved) -> Result<Resolved, TransportError> {
    if image.layers.len() > MAX_LAYERS {
        return Err(ManifestError::TooManyLayers(image.layers.len()).into());
    }
    let config = files.read(&image.config, MAX_CONFIG).await?;
    let mut layers = Vec::new();
    for name in &image.layers {
        layers.push((files.open(name).await?.size(), At::File(name.clone())));
    }
    Resolved::new(None, Vec::new(), config, layers)
}

fn choose<'a>(
    images: &'a [Saved],
    wanted: Option<&Reference>,
    files: &Files,
) -> Result<&'a Saved, LocalError> {
    let tags = |image: &'a Saved| image.repo_tags.iter().flatten();
    let offered = || images.iter().flat_map(tags).cloned().collect();
    let path = || files.path().to_owned();
    match (wanted, images) {
        (None, [only]) => Ok(only),
        (None, []) => Err(LocalError::NoSuchImage {
            path: path(),
            wanted: "latest".to_owned(),
            offered: Vec::new(),
        }),
        (None, _) => Err(LocalError::Several {
            path: path(),
            offered: offered(),
        }),
        (Some(wanted), _) => {
            let matches = |tag: &String| tag.parse::<Reference>().is_ok_and(|tag| tag == *wanted);
            images
                .iter()
                .find(|image| tags(image).any(matches))
                .ok_or_else(|| LocalError::NoSuchImage {
                    path: path(),
                    wanted: wanted.to_string(),
                    offered: offered(),
                })
        }
    }
}
