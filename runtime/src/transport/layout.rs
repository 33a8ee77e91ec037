//! The OCI image layout: `index.json` and `blobs/sha256/` (OCI image specification, image-layout.md).

use super::error::{LocalError, TransportError};
use super::files::Files;
use crate::image::{Descriptor, Digest, Document, Index, MAX_MANIFEST, ManifestError};

/// The layout's list of images.
pub(super) const INDEX: &str = "index.json";
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// What containerd and Docker name an image by.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// A blob's name in the layout.
pub(super) fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The image with the tag, or the only one: its descriptor and the document.
pub(super) async fn top(
    files: &Files,
    tag: Option<&str>,
) -> Result<(Descriptor, Vec<u8>), TransportError> {
    let index = index(files).await?;
    let name = |descriptor: &Descriptor| descriptor.annotations.get(REF_NAME).cloned();
    let offered = || index.manifests.iter().filter_map(name).collect();
    let path = || files.path().to_owned();
    let descriptor = match (tag, &index.manifests[..]) {
        (Some(tag), all) => all
            .iter()
            .find(|descriptor| name(descriptor).as_deref() == Some(tag))
            .ok_or_else(|| LocalError::NoSuchImage {
                path: path(),
                wanted: tag.to_owned(),
                offered: offered(),
            })?,
        (None, [only]) => only,
        (None, []) => {
            return Err(LocalError::NoSuchImage {
                path: path(),
                wanted: "latest".to_owned(),
                offered: offered(),
            }
            .into());
        }
        (None, all) => {
            // Some tools write one image for each machine into the index itself; those have no names of their own.
            let is_choice = all
                .iter()
                .all(|descriptor| descriptor.platform.is_some() && name(descriptor).is_none());
            match is_choice.then(|| index.choose(&crate::image::Platform::host())) {
                Some(chosen) => chosen?,
                None => {
                    return Err(LocalError::Several {
                        path: path(),
                        offered: offered(),
                    }
                    .into());
                }
            }
        }
    };
    Ok((descriptor.clone(), document(files, descriptor).await?))
}

/// Every image, with the name that it has in the layout.
pub(super) async fn all(
    files: &Files,
) -> Result<Vec<(Option<String>, Descriptor)>, TransportError> {
    let manifests = index(files).await?.manifests.into_iter();
    Ok(manifests
        .map(|descriptor| (full_name(&descriptor), descriptor))
        .collect())
}

/// The reference in the annotations: containerd's, else OCI's where that is more than a tag.
fn full_name(descriptor: &Descriptor) -> Option<String> {
    let annotation = |name| descriptor.annotations.get(name).cloned();
    annotation(CONTAINERD_NAME)
        .or_else(|| annotation(REF_NAME).filter(|name| name.contains(['/', ':'])))
}

async fn index(files: &Files) -> Result<Index, TransportError> {
    match Document::parse(&files.read(INDEX, MAX_MANIFEST).await?)? {
        Document::Index(index) => Ok(index),
        Document::Manifest(_) => Err(ManifestError::MediaType(
            "an image manifest in place of index.json".to_owned(),
        )
        .into()),
    }
}

pub(super) async fn document(
    files: &Files,
    descriptor: &Descriptor,
) -> Result<Vec<u8>, TransportError> {
    let part = files.open(&blob(&descriptor.digest)).await?;
    Ok(part.checked(descriptor)?.read(MAX_MANIFEST).await?)
}
