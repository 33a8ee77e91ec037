//! The OCI image layout: `index.json` and `blobs/sha256/` (OCI image specification, image-layout.md).

use super::error::{LocalError, TransportError};
use super::files::Files;
use crate::image::{Descriptor, Digest, Document, MAX_MANIFEST, ManifestError};

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A blob's name in the layout.
pub(super) fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The image with the tag, or the only one: its descriptor and the document.
pub(super) async fn top(
    files: &Files,
    tag: Option<&str>,
) -> Result<(Descriptor, Vec<u8>), TransportError> {
    let Document::Index(index) = Document::parse(&files.read("index.json", MAX_MANIFEST).await?)?
    else {
        return Err(ManifestError::MediaType(
            "an image manifest in place of index.json".to_owned(),
        )
        .into());
    };
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
    let part = files
        .open(&blob(&descriptor.digest))
        .await?
        .checked(descriptor)?;
    Ok((descriptor.clone(), part.read(MAX_MANIFEST).await?))
}
