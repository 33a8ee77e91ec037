//! Directories of the machine for containers to mount, as they are or under an overlay of their own.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use super::Zygote;
use super::request::{RequestError, out_of_turn};
use super::wire::{HeldSource, Job, Request};
use crate::rootfs::open_without_links;
use crate::security::Defence;
use crate::sys::{MountAttr, Spread, mount_setattr};
use crate::userns::Rung;

/// What becomes of a directory of the machine that is held for containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Mounted as it is; the caller's files belong to container root.
    Bind,
    /// The same with everything mounted below it, where the file systems can be mounted so.
    Tree,
    /// Mounted as it is, owners included, with everything mounted below it.
    Raw,
    /// Mounted as any other user of the machine sees it: what only the caller may read is not readable.
    Shared,
    /// Under an overlay: what is written to it is kept aside until it is released.
    Overlay,
}

/// Why a directory of the machine could not be held for a job.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The directory itself.
    #[error(
        "mount {path} with the containers' ids (its file system may not support id-mapped mounts)"
    )]
    Source {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The zygote.
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl Zygote {
    /// Holds a directory of the machine for containers to mount by `name`, which must be a file name not in use. In it
    /// the caller's files belong to container root.
    ///
    /// # Errors
    /// See [`HoldError`].
    pub async fn hold(&self, name: &str, path: &Path, hold: Hold) -> Result<(), HoldError> {
        let failed = |source| HoldError::Source {
            path: path.to_owned(),
            source,
        };
        // Links are followed now and never again: whoever may change a directory on the way gets nothing else mounted.
        let real = path.canonicalize().map_err(failed)?;
        let tree = self.as_container_root(&real, hold).map_err(failed)?;
        let request = Request::Hold {
            name: name.to_owned(),
            source: match tree {
                Some(_) => HeldSource::Tree,
                None => HeldSource::Path(real.into()),
            },
            upper: match hold {
                Hold::Bind | Hold::Tree | Hold::Raw | Hold::Shared => None,
                Hold::Overlay => Some(self.upper(name)),
            },
        };
        let fds: Vec<_> = tree.iter().map(AsFd::as_fd).collect();
        self.done(&request, &fds).await?;
        Ok(())
    }

    /// Holds a new directory for containers to mount by `name`, which must be a file name not in use.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn hold_fresh(&self, name: &str) -> Result<(), RequestError> {
        let request = Request::Hold {
            name: name.to_owned(),
            source: HeldSource::Fresh,
            upper: Some(self.upper(name)),
        };
        self.done(&request, &[]).await.map(drop)
    }

    /// Lets go of what [`Zygote::hold`] holds, and of what an overlay has kept aside.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn release(&self, name: &str) -> Result<(), RequestError> {
        let request = Request::Release {
            name: name.to_owned(),
        };
        self.done(&request, &[]).await?;
        let path = Path::new("scratch").join(self.upper(name));
        self.work(Job::Remove { path }, &[]).await.map(drop)
    }

    /// What was written to a directory that [`Zygote::hold`] holds under an overlay, in bytes of the disk. A file that is
    /// removed and still open is not seen.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn written(&self, name: &str) -> Result<u64, RequestError> {
        let path = Path::new("scratch").join(self.upper(name));
        let bytes = self.work(Job::Measure { path }, &[]).await?;
        bytes
            .as_u64()
            .ok_or_else(|| out_of_turn("an answer is no number of bytes"))
    }

    /// For an agent that is root: the directory through the containers' id map, so that what belongs to the caller
    /// belongs to container root and the other way round. A plain user's map says the same without a mount.
    fn as_container_root(&self, path: &Path, hold: Hold) -> io::Result<Option<OwnedFd>> {
        let of_nobody = hold == Hold::Shared && Defence::HostFilesOfNobody.is_on();
        if self.map.rung != Rung::Root || of_nobody {
            return Ok(None);
        }
        let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        let recursive = matches!(hold, Hold::Tree | Hold::Raw);
        flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
        let tree = open_tree(open_without_links(path)?, "", flags)?;
        let attr = MountAttr {
            id_map: (hold != Hold::Raw).then(|| self.user_namespace.as_fd()),
            // A copy of a shared mount would be its equal: what containers mount on it would appear on the machine.
            spread: Some(Spread::Private),
            recursive,
            ..MountAttr::default()
        };
        match mount_setattr(&tree, attr) {
            // A file system that cannot be id-mapped (NFS, FUSE, an overlay) is seen as others see it; an overlay of ours
            // on it is writable all the same where modes allow.
            Err(Errno::INVAL) if matches!(hold, Hold::Overlay | Hold::Tree) => {
                let attr = MountAttr {
                    id_map: None,
                    ..attr
                };
                mount_setattr(&tree, attr)?;
            }
            result => result?,
        }
        Ok(Some(tree))
    }
}
