//! Where containers are put together: directories of a tmpfs that exists only in the zygote's mount namespace.
//!
//! The zygote's working directory is the part of the data directory that belongs to its ids:
//!
//! ```text
//! layers/    unpacked image layers, by diff ID
//! host/      layers of the machine itself, by fingerprint
//! scratch/   upper directories of workspaces, by run
//! mnt/       mount point of the stage
//!   upper/   a container mounts its private upper layer here, in its own namespace
//!   root/    .. and its root here
//!   empty/   a read-only tmpfs that covers masked directories
//!   held/    mounts the zygote holds for jobs, by name
//!   lower/   while an overlay is mounted over a tree of the machine: that tree
//!   host/    the lower layer of `image: host`
//! ```
//!
//! Paths are relative on purpose: after `unshare(CLONE_NEWNS)` the working directory leads into the new namespace's
//! copy of the tree, and no permission on the directories above it is needed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount};

use super::is_directory;
use super::overlay::{LowerDirs, tmpfs};
use crate::container::StartError;
use crate::container::error::During;
use crate::sys::{MountAttr, mount_setattr};

/// The stage; exists once it is mounted.
#[derive(Debug)]
pub(crate) struct Stage {
    marks_in_memory: bool,
    lower_dirs: LowerDirs,
}

/// The stage's mount point.
const AT: &str = "mnt";

impl Stage {
    /// Mounts the stage below the working directory.
    pub(crate) fn prepare() -> Result<Self, StartError> {
        Self::with(LowerDirs::of_this_kernel(Path::new(AT))?)
    }

    /// The same, with a given way to mount overlays.
    pub(super) fn with(lower_dirs: LowerDirs) -> Result<Self, StartError> {
        attach(&tmpfs(&[("mode", "0700")])?, Path::new(AT))?;
        let stage = Self {
            marks_in_memory: takes_user_attributes(Path::new(AT)),
            lower_dirs,
        };
        for directory in [
            stage.upper(),
            stage.root(),
            stage.empty(),
            stage.lower(),
            stage.path("held"),
        ] {
            make_directory(&directory)?;
        }
        let empty = tmpfs(&[("mode", "0555"), ("size", "4k")])?;
        let sealed = MountAttr {
            read_only: true,
            no_suid: true,
            no_dev: true,
            no_exec: true,
            ..MountAttr::default()
        };
        mount_setattr(&empty, sealed).during("seal the empty directory")?;
        attach(&empty, &stage.empty())?;
        Ok(stage)
    }

    /// Whether an overlay's upper layer can be on a tmpfs: its marks are `user.` attributes there (Linux 6.6).
    pub(crate) const fn marks_in_memory(&self) -> bool {
        self.marks_in_memory
    }

    /// How overlays get their lower layers.
    pub(super) const fn lower_dirs(&self) -> LowerDirs {
        self.lower_dirs
    }

    /// Mount point of a container's upper layer.
    pub(crate) fn upper(&self) -> PathBuf {
        self.path("upper")
    }

    /// Mount point of a container's root.
    pub(crate) fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// The read-only empty directory.
    pub(crate) fn empty(&self) -> PathBuf {
        self.path("empty")
    }

    /// Mount point of something held for a job.
    pub(crate) fn held(&self, name: &str) -> PathBuf {
        self.path("held").join(name)
    }

    /// Has `tree` under a short path while `mount` mounts an overlay over it: an overlay takes its layers by path, and
    /// fsconfig(2) only paths shorter than 256 bytes. The overlay keeps the tree afterwards.
    pub(crate) fn with_lower<T>(
        &self,
        tree: &impl AsFd,
        mount: impl FnOnce(&Path) -> Result<T, StartError>,
    ) -> Result<T, StartError> {
        let at = self.lower();
        attach(tree, &at)?;
        let mounted = mount(&at);
        rustix::mount::unmount(&at, UnmountFlags::DETACH).during_at("unmount", &at)?;
        mounted
    }

    /// Makes the mount point for something to be held and mounts it there.
    pub(crate) fn hold(&self, name: &str, tree: &OwnedFd) -> Result<(), StartError> {
        self.mount(&self.held(name), tree)
    }

    /// Makes a mount point and mounts something there.
    pub(crate) fn mount(&self, at: &Path, tree: &OwnedFd) -> Result<(), StartError> {
        if is_directory(tree)? {
            make_directory(at)?;
        } else {
            File::create_new(at).during_at("make", at)?;
        }
        attach(tree, at)
    }

    /// Gives up what [`Stage::hold`] holds; containers that have a copy keep it.
    pub(crate) fn release(&self, name: &str) -> Result<(), StartError> {
        let at = self.held(name);
        rustix::mount::unmount(&at, UnmountFlags::DETACH).during_at("unmount", &at)?;
        match std::fs::remove_dir(&at) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => std::fs::remove_file(&at),
            result => result,
        }
        .during_at("remove", &at)
    }

    fn lower(&self) -> PathBuf {
        self.path("lower")
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(AT).join(name)
    }
}

fn takes_user_attributes(path: &Path) -> bool {
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(path, "user.slipway", b"y", flags).is_ok()
}

fn make_directory(path: &Path) -> Result<(), StartError> {
    std::fs::create_dir(path).during_at("make", path)
}

/// Attaches a detached mount at a path of ours.
pub(super) fn attach(tree: &impl AsFd, at: &Path) -> Result<(), StartError> {
    move_mount(tree, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).during_at("mount", at)
}
