//! Where an image comes from, as a user writes it: containers/image's transports (`containers-transports(5)`), `host`,
//! and a bare name for a registry.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Reference, ReferenceError};

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// `host`: the machine's own programs and libraries.
    Host,
    /// `docker://REF`, or a bare `debian:bookworm`.
    Registry(Reference),
    /// `oci:DIR[:tag]`: an OCI image layout.
    OciLayout {
        /// The directory.
        path: PathBuf,
        /// The annotation `org.opencontainers.image.ref.name`; needed only when the layout holds several images.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:tag]`: an OCI image layout in a tar archive.
    OciArchive {
        /// The file.
        path: PathBuf,
        /// As for a layout.
        tag: Option<String>,
    },
    /// `docker-archive:FILE[:ref]`: what `docker save` and `podman save` write.
    DockerArchive {
        /// The file.
        path: PathBuf,
        /// One of its `RepoTags`; needed only when the archive holds several images.
        reference: Option<Reference>,
    },
    /// `dir:DIR`: containers/image's directory of one manifest and its blobs.
    Dir {
        /// The directory.
        path: PathBuf,
    },
    /// `tar:FILE`: a root file system in a tar archive, plain or compressed with gzip, xz or zstd.
    Tar {
        /// The file.
        path: PathBuf,
    },
    /// `squashfs:FILE`: a root file system as mksquashfs writes it.
    Squashfs {
        /// The file.
        path: PathBuf,
    },
    /// `sif:FILE`: an image of Singularity or Apptainer.
    Sif {
        /// The file.
        path: PathBuf,
    },
    /// `aci:FILE`: an image of rkt.
    Aci {
        /// The file.
        path: PathBuf,
    },
    /// `lxc:FILE`: LXC's `rootfs.tar.xz` or `rootfs.squashfs`, or LXD's unified image.
    Lxc {
        /// The file.
        path: PathBuf,
    },
}

/// Why a text names no image source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// A transport without what follows it.
    #[error("`{0}:` needs a path after the colon")]
    Path(&'static str),
    /// A transport of other tools.
    #[error("images from `{0}:` are not supported")]
    Transport(&'static str),
    /// A tag that no tool writes.
    #[error("`{0}` is not a tag of an OCI layout")]
    Tag(String),
    /// A path that no file can have.
    #[error("the path of an image must not hold a NUL byte")]
    Nul,
    /// Not a registry's image either.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

impl Source {
    /// The same source with a relative path made absolute under `base`, the directory it was written in.
    #[must_use]
    pub fn resolve(&self, base: &Path) -> Self {
        let mut resolved = self.clone();
        match &mut resolved {
            Self::Host | Self::Registry(_) => {}
            Self::OciLayout { path, .. }
            | Self::OciArchive { path, .. }
            | Self::DockerArchive { path, .. }
            | Self::Dir { path }
            | Self::Tar { path }
            | Self::Squashfs { path }
            | Self::Sif { path }
            | Self::Aci { path }
            | Self::Lxc { path } => *path = base.join(&*path),
        }
        resolved
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        const OTHERS: [&str; 4] = ["docker-daemon", "containers-storage", "ostree", "tarball"];
        if text == "host" {
            return Ok(Self::Host);
        }
        if let Some(reference) = text.strip_prefix("docker://") {
            return Ok(Self::Registry(reference.parse()?));
        }
        let Some((transport, rest)) = text.split_once(':') else {
            return Ok(Self::Registry(text.parse()?));
        };
        match transport {
            "oci" => {
                let (path, tag) = path_and_tag("oci", rest)?;
                Ok(Self::OciLayout { path, tag })
            }
            "oci-archive" => {
                let (path, tag) = path_and_tag("oci-archive", rest)?;
                Ok(Self::OciArchive { path, tag })
            }
            "docker-archive" => {
                let (file, reference) = match rest.split_once(':') {
                    Some((file, reference)) => (file, Some(reference.parse()?)),
                    None => (rest, None),
                };
                Ok(Self::DockerArchive {
                    path: path("docker-archive", file)?,
                    reference,
                })
            }
            "dir" => Ok(Self::Dir {
                path: path("dir", rest)?,
            }),
            "tar" => Ok(Self::Tar {
                path: path("tar", rest)?,
            }),
            "squashfs" => Ok(Self::Squashfs {
                path: path("squashfs", rest)?,
            }),
            "sif" => Ok(Self::Sif {
                path: path("sif", rest)?,
            }),
            "aci" => Ok(Self::Aci {
                path: path("aci", rest)?,
            }),
            "lxc" => Ok(Self::Lxc {
                path: path("lxc", rest)?,
            }),
            other => match OTHERS.into_iter().find(|known| *known == other) {
                Some(known) => Err(SourceError::Transport(known)),
                None => Ok(Self::Registry(text.parse()?)),
            },
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut local = |transport: &str, path: &Path, suffix: Option<&dyn fmt::Display>| {
            write!(f, "{transport}:{}", path.display())?;
            suffix.map_or(Ok(()), |suffix| write!(f, ":{suffix}"))
        };
        match self {
            Self::Host => f.write_str("host"),
            Self::Registry(reference) => write!(f, "docker://{reference}"),
            Self::OciLayout { path, tag } => local("oci", path, tag.as_ref().map(|t| t as _)),
            Self::OciArchive { path, tag } => {
                local("oci-archive", path, tag.as_ref().map(|t| t as _))
            }
            Self::DockerArchive { path, reference } => {
                local("docker-archive", path, reference.as_ref().map(|r| r as _))
            }
            Self::Dir { path } => local("dir", path, None),
            Self::Tar { path } => local("tar", path, None),
            Self::Squashfs { path } => local("squashfs", path, None),
            Self::Sif { path } => local("sif", path, None),
            Self::Aci { path } => local("aci", path, None),
            Self::Lxc { path } => local("lxc", path, None),
        }
    }
}

fn path(transport: &'static str, text: &str) -> Result<PathBuf, SourceError> {
    if text.is_empty() {
        return Err(SourceError::Path(transport));
    }
    if text.contains('\0') {
        return Err(SourceError::Nul);
    }
    Ok(PathBuf::from(text))
}

/// As containers/image splits it: the path ends at the first colon.
fn path_and_tag(
    transport: &'static str,
    text: &str,
) -> Result<(PathBuf, Option<String>), SourceError> {
    let (file, tag) = match text.split_once(':') {
        Some((file, tag)) => (file, Some(tag)),
        None => (text, None),
    };
    let is_tag = |tag: &str| {
        !tag.is_empty()
            && tag
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._:@+/".contains(&b))
    };
    match tag {
        Some(tag) if !is_tag(tag) => Err(SourceError::Tag(super::descriptor::printable(tag))),
        tag => Ok((path(transport, file)?, tag.map(str::to_owned))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_reads_back_as_it_was_written() {
        for text in [
            "host",
            "docker://docker.io/library/debian:bookworm",
            "oci:images/base",
            "oci:/srv/images/base:v1.2",
            "oci-archive:base.tar:v1",
            "docker-archive:base.tar",
            "docker-archive:base.tar:docker.io/library/base:1",
            "dir:/srv/base",
            "tar:rootfs.tar.xz",
            "squashfs:rootfs.squashfs",
            "sif:lolcow.sif",
            "aci:app.aci",
            "lxc:rootfs.tar.xz",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        assert_eq!(
            "debian".parse::<Source>().unwrap().to_string(),
            "docker://docker.io/library/debian:latest"
        );
    }

    #[test]
    fn mistakes_are_named() {
        let refused = |text: &str| text.parse::<Source>().unwrap_err().to_string();
        insta::assert_snapshot!(refused(""), @"an image name must not be empty");
        insta::assert_snapshot!(refused("oci:"), @"`oci:` needs a path after the colon");
        insta::assert_snapshot!(refused("oci:dir:a b"), @"`a b` is not a tag of an OCI layout");
        insta::assert_snapshot!(refused("ostree:repo"), @"images from `ostree:` are not supported");
        insta::assert_snapshot!(refused("Debian"), @"the repository in `Debian` must be lower-case");
        insta::assert_snapshot!(refused("tar:a\0b"), @"the path of an image must not hold a NUL byte");
    }

    #[test]
    fn a_relative_path_is_under_the_directory_it_was_written_in() {
        let resolved = |text: &str| {
            text.parse::<Source>()
                .unwrap()
                .resolve(Path::new("/repo"))
                .to_string()
        };
        assert_eq!(resolved("oci:images/base:v1"), "oci:/repo/images/base:v1");
        assert_eq!(resolved("tar:/srv/rootfs.tar"), "tar:/srv/rootfs.tar");
        assert_eq!(
            resolved("debian"),
            "docker://docker.io/library/debian:latest"
        );
    }
}
