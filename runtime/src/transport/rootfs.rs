//! A root file system in one file, without layers: what it is and what is said about it.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::aci;
use super::content::Content;
use super::error::{LocalError, TransportError};
use super::files::{Files, blocking, open};
use super::resolved::Resolved;
use super::sif::{self, Fault, System};
use crate::image::{MAX_CONFIG, Platform};
use crate::layer::{Form, file_in, starts_as_bundle};

/// The first bytes of a squashfs image, little-endian (Linux, Documentation/filesystems/squashfs.rst).
const SQUASHFS: &[u8] = b"hsqs";
/// What Singularity runs an image by.
const RUNSCRIPT: &str = "/.singularity.d/runscript";

/// A root file system in one file.
#[derive(Debug)]
pub(crate) struct Rootfs<'a> {
    path: &'a Path,
    form: Form,
    /// Where it begins in the file.
    offset: u64,
    /// In the words of an image's configuration; what a bare file system says is nothing.
    said: Option<Value>,
}

impl<'a> Rootfs<'a> {
    pub(super) const fn tar(path: &'a Path) -> Self {
        Self {
            path,
            form: Form::Tar,
            offset: 0,
            said: None,
        }
    }

    pub(super) async fn squashfs(path: &'a Path) -> Result<Self, LocalError> {
        if !is_squashfs(path).await? {
            return Err(unfit(path, "is no squashfs image"));
        }
        Ok(Self {
            form: Form::Squashfs,
            ..Self::tar(path)
        })
    }

    pub(super) async fn sif(path: &'a Path) -> Result<Self, LocalError> {
        let System {
            offset,
            architecture,
        } = on(path, |path, file| {
            sif::system(&file).map_err(|fault| match fault {
                Fault::Read(source) => LocalError::Read {
                    path: path.to_owned(),
                    source,
                },
                Fault::Not(why) => unfit(path, why),
            })
        })
        .await?;
        let said = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Cmd": [RUNSCRIPT] },
        });
        Ok(Self {
            form: Form::Squashfs,
            offset,
            said: Some(said),
            ..Self::tar(path)
        })
    }

    pub(super) async fn aci(path: &'a Path) -> Result<Self, LocalError> {
        let said = on(path, |path, file| {
            let damaged = |source| LocalError::Archive {
                path: path.to_owned(),
                source,
            };
            // A root file system has more files than are worth a list.
            match file_in(file, aci::MANIFEST, MAX_CONFIG).map_err(damaged)? {
                Some((size, _)) if size > MAX_CONFIG => Err(LocalError::TooLarge {
                    path: path.join(aci::MANIFEST),
                    size,
                    limit: MAX_CONFIG,
                }),
                Some((_, manifest)) => aci::configuration(path, &manifest),
                None => Err(LocalError::Missing {
                    path: path.to_owned(),
                    name: aci::MANIFEST.to_owned(),
                }),
            }
        })
        .await?;
        Ok(Self {
            form: Form::Bundle,
            said: Some(said),
            ..Self::tar(path)
        })
    }

    /// A root file system in a tar archive or a squashfs, or in an archive with LXD's `metadata.yaml` beside it.
    pub(super) async fn lxc(path: &'a Path) -> Result<Self, LocalError> {
        if is_squashfs(path).await? {
            return Self::squashfs(path).await;
        }
        let is_bundle = on(path, |path, file| {
            starts_as_bundle(file, "metadata.yaml").map_err(|source| LocalError::Archive {
                path: path.to_owned(),
                source,
            })
        })
        .await?;
        Ok(Self {
            form: if is_bundle { Form::Bundle } else { Form::Tar },
            ..Self::tar(path)
        })
    }

    pub(super) async fn resolve(&self, host: &Platform) -> Result<Resolved, TransportError> {
        let size = Files::whole(self.path).await?.size();
        let nothing = || json!({ "architecture": host.architecture, "os": "linux", "config": {} });
        let said = self.said.clone().unwrap_or_else(nothing);
        Resolved::bare(size.saturating_sub(self.offset), self.form, said)
    }

    pub(super) async fn content(&self) -> Result<Content<'static>, TransportError> {
        if self.form != Form::Squashfs {
            return Ok(Content::Part(Files::whole(self.path).await?));
        }
        let offset = self.offset;
        let file = on(self.path, move |path, mut file| {
            let sought = file.seek(SeekFrom::Start(offset));
            sought.map(|_| file).map_err(|source| LocalError::Read {
                path: path.to_owned(),
                source,
            })
        });
        Ok(Content::Whole(file.await?))
    }
}

async fn is_squashfs(path: &Path) -> Result<bool, LocalError> {
    on(path, |path, file| {
        let mut magic = Vec::new();
        let read = file.take(SQUASHFS.len() as u64).read_to_end(&mut magic);
        read.map(|_| magic == SQUASHFS)
            .map_err(|source| LocalError::Read {
                path: path.to_owned(),
                source,
            })
    })
    .await
}

/// Does something with a file, off the async threads.
async fn on<T: Send + 'static>(
    path: &Path,
    act: impl FnOnce(&Path, File) -> Result<T, LocalError> + Send + 'static,
) -> Result<T, LocalError> {
    let path: PathBuf = path.to_owned();
    blocking(move || act(&path, open(&path)?)).await
}

fn unfit(path: &Path, why: &'static str) -> LocalError {
    LocalError::Unfit {
        path: path.to_owned(),
        why,
    }
}
