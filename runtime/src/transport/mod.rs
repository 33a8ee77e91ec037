//! Every place an image can come from, behind one question each: what is it made of, and where are its layers' bytes.
//!
//! Neighbours: `registry` for `docker://`; `store` asks and keeps.

mod archive;
mod content;
mod docker_archive;
mod error;
mod files;
mod layout;
mod resolved;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use error::LocalError;

pub(crate) use content::Content;
pub(crate) use error::TransportError;
pub(crate) use files::FileIdentity;
pub(crate) use resolved::{Layer, Resolved};

use crate::image::{Platform, Reference, Source};
use crate::registry;
use files::Files;
use resolved::{At, Documents};

/// A source, opened.
pub(crate) enum Transport<'a> {
    /// `docker://`
    Registry {
        client: Box<registry::Client>,
        reference: &'a Reference,
    },
    /// `oci:`, `oci-archive:`
    Layout { files: Files, tag: Option<&'a str> },
    /// `dir:`
    Directory { files: Files },
    /// `docker-archive:`
    DockerArchive {
        files: Files,
        reference: Option<&'a Reference>,
    },
    /// `tar:`
    Tar { path: &'a Path },
}

impl<'a> Transport<'a> {
    /// Opens a source; `None` for [`Source::Host`], which has no bytes. A compressed archive is unpacked to an unnamed
    /// file in `scratch` first, since its parts are read in another order than they are stored.
    pub(crate) async fn open(
        source: &'a Source,
        registries: &registry::Settings,
        scratch: &Path,
    ) -> Result<Option<Self>, TransportError> {
        Ok(Some(match source {
            Source::Host => return Ok(None),
            Source::Registry(reference) => Self::Registry {
                client: Box::new(registry::Client::new(registries)?),
                reference,
            },
            Source::OciLayout { path, tag } => Self::Layout {
                files: Files::directory(path),
                tag: tag.as_deref(),
            },
            Source::OciArchive { path, tag } => Self::Layout {
                files: Files::archive(path, scratch).await?,
                tag: tag.as_deref(),
            },
            Source::Dir { path } => Self::Directory {
                files: Files::directory(path),
            },
            Source::DockerArchive { path, reference } => Self::DockerArchive {
                files: Files::archive(path, scratch).await?,
                reference: reference.as_ref(),
            },
            Source::Tar { path } => Self::Tar { path },
        }))
    }

    /// What the image is made of.
    pub(crate) async fn resolve(&self, host: &Platform) -> Result<Resolved, TransportError> {
        match self {
            Self::Registry { client, reference } => {
                let top = client.manifest(reference).await?;
                resolved::resolve(&Documents::Registry { client, reference }, top.bytes, host).await
            }
            Self::Layout { files, tag } => {
                let (descriptor, top) = layout::top(files, *tag).await?;
                tracing::debug!(digest = %descriptor.digest, "image of the layout");
                resolved::resolve(&Documents::Layout(files), top, host).await
            }
            Self::Directory { files } => {
                let top = files
                    .read("manifest.json", crate::image::MAX_MANIFEST)
                    .await?;
                resolved::resolve(&Documents::Directory(files), top, host).await
            }
            Self::DockerArchive { files, reference } => {
                docker_archive::resolve(files, *reference).await
            }
            Self::Tar { path } => Ok(Resolved::bare(Files::whole(path).await?.size())),
        }
    }

    /// The bytes of one of the layers that [`Transport::resolve`] told of.
    pub(crate) async fn content(&self, layer: &Layer) -> Result<Content<'_>, TransportError> {
        let (name, descriptor) = match (&layer.at, self) {
            (At::Blob(descriptor), Self::Registry { client, reference }) => {
                return Ok(Content::Blob(Box::new(client.blob(reference, descriptor)?)));
            }
            (At::Blob(descriptor), Self::Layout { .. }) => {
                (layout::blob(&descriptor.digest), Some(descriptor))
            }
            (At::Blob(descriptor), _) => (descriptor.digest.hex(), Some(descriptor)),
            (At::File(name), _) => (name.clone(), None),
        };
        let part = match self {
            Self::Layout { files, .. }
            | Self::Directory { files }
            | Self::DockerArchive { files, .. } => files.open(&name).await?,
            Self::Tar { path } => Files::whole(path).await?,
            // Unreachable by construction: a registry's layers are blobs.
            Self::Registry { .. } => {
                return Err(LocalError::Missing {
                    path: name.clone().into(),
                    name,
                }
                .into());
            }
        };
        Ok(Content::Part(match descriptor {
            Some(descriptor) => part.checked(descriptor)?,
            None => part,
        }))
    }
}
