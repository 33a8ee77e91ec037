//! Every place an image can come from, behind one question each: what is it made of, and where are its layers' bytes.
//!
//! Neighbours: `registry` for `docker://`; `store` asks and keeps.

mod aci;
mod archive;
mod content;
mod docker_archive;
mod error;
mod files;
mod layout;
mod resolved;
mod rootfs;
mod sif;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

pub use error::LocalError;

pub(crate) use content::Content;
pub(crate) use error::TransportError;
pub(crate) use files::FileIdentity;
pub(crate) use resolved::{Layer, Resolved, with_layers};

use crate::image::{Descriptor, Platform, Reference, Source};
use crate::registry;
use files::Files;
use resolved::{At, Documents};
use rootfs::Rootfs;

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
    /// A root file system in one file: `tar:`, `squashfs:`, `sif:`, `aci:`, `lxc:`
    Rootfs(Rootfs<'a>),
}

/// One of the images in an archive.
#[derive(Debug)]
pub(crate) struct Offer {
    /// As they stand there.
    pub(crate) names: Vec<String>,
    pick: Pick,
}

/// Where an archive has an image.
#[derive(Debug)]
enum Pick {
    Descriptor(Descriptor),
    Saved(docker_archive::Saved),
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
            Source::Tar { path } => Self::Rootfs(Rootfs::tar(path)),
            Source::Squashfs { path } => Self::Rootfs(Rootfs::squashfs(path).await?),
            Source::Sif { path } => Self::Rootfs(Rootfs::sif(path).await?),
            Source::Aci { path } => Self::Rootfs(Rootfs::aci(path).await?),
            Source::Lxc { path } => Self::Rootfs(Rootfs::lxc(path).await?),
        }))
    }

    /// Opens an archive of images with names, an OCI layout or what `docker save` writes; newer ones are both.
    pub(crate) async fn open_archive(path: &Path, scratch: &Path) -> Result<Self, TransportError> {
        let files = Files::archive(path, scratch).await?;
        let has_names = files.has(layout::INDEX)
            && layout::all(&files)
                .await
                .is_ok_and(|all| all.iter().all(|(name, _)| name.is_some()));
        if files.has(docker_archive::MANIFEST) && !has_names {
            return Ok(Self::DockerArchive {
                files,
                reference: None,
            });
        }
        Ok(Self::Layout { files, tag: None })
    }

    /// Every image of an archive.
    pub(crate) async fn offers(&self) -> Result<Vec<Offer>, TransportError> {
        match self {
            Self::Layout { files, .. } => {
                // One image is there once for each of its names.
                let mut places = HashMap::new();
                let mut offers: Vec<Offer> = Vec::new();
                for (name, descriptor) in layout::all(files).await? {
                    let place = *places.entry(descriptor.digest).or_insert(offers.len());
                    match offers.get_mut(place) {
                        Some(offer) => offer.names.extend(name),
                        None => offers.push(Offer {
                            names: name.into_iter().collect(),
                            pick: Pick::Descriptor(descriptor),
                        }),
                    }
                }
                Ok(offers)
            }
            Self::DockerArchive { files, .. } => {
                let all = docker_archive::all(files).await?.into_iter();
                Ok(all
                    .map(|(names, saved)| Offer {
                        names,
                        pick: Pick::Saved(saved),
                    })
                    .collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// What one of them is made of.
    pub(crate) async fn resolve_offer(
        &self,
        offer: &Offer,
        host: &Platform,
    ) -> Result<Resolved, TransportError> {
        match (self, &offer.pick) {
            (Self::Layout { files, .. }, Pick::Descriptor(descriptor)) => {
                let top = layout::document(files, descriptor).await?;
                resolved::resolve(&Documents::Layout(files), top, host).await
            }
            (Self::DockerArchive { files, .. }, Pick::Saved(saved)) => {
                docker_archive::one(files, saved).await
            }
            _ => self.resolve(host).await,
        }
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
            Self::Rootfs(rootfs) => rootfs.resolve(host).await,
        }
    }

    /// The bytes of one of the layers that [`Transport::resolve`] told of.
    pub(crate) async fn content(&self, layer: &Layer) -> Result<Content<'_>, TransportError> {
        let (name, descriptor) = match (&layer.at, self) {
            (At::Blob(descriptor), Self::Registry { client, reference }) => {
                let blob = client.blob(reference, descriptor)?;
                // A layer that is not compressed has the digest of what it is unpacked from, and that is compared in any case.
                let is_plain = layer.diff_id == Some(descriptor.digest);
                return Ok(Content::Blob(Box::new(match is_plain {
                    true => blob.verified_elsewhere(),
                    false => blob,
                })));
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
            Self::Rootfs(rootfs) => return rootfs.content().await,
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
