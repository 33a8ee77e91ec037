//! Overlay file systems (Documentation/filesystems/overlayfs.rst).
//!
//! They are mounted through the new mount interface (fsopen(2)) where it takes the lower layers one by one, and with
//! mount(2) elsewhere: `lower_dirs` finds out which, `classic` is the second way. Either way the answer is a detached
//! mount.

mod classic;
mod lower_dirs;

pub(super) use lower_dirs::LowerDirs;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, Timespec, Timestamps};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};
use rustix::process::{Gid, Uid};

use super::stage::attach;
use super::{PLAIN, Stage};
use crate::container::StartError;
use crate::container::error::During;

/// Read-only directories under one writable one.
#[derive(Debug)]
pub(crate) struct Overlay<'a, L> {
    /// Relative to the working directory, the lowest first.
    pub(crate) layers: &'a [L],
    /// Where what is written goes.
    pub(crate) upper: Upper,
}

/// Where what is written to an overlay goes.
#[derive(Debug)]
pub(crate) enum Upper {
    /// A tmpfs that is gone with the container's mount namespace, whatever happens to the agent.
    Memory {
        /// Its bound in bytes; half of the machine's memory where there is none, as for every tmpfs.
        size: Option<u64>,
    },
    /// Two fresh directories, `upper` and `work`, in this one. An overlay that was mounted `volatile` can never be
    /// mounted again from the same `work`.
    Directory(PathBuf),
}

impl<L: AsRef<Path>> Overlay<'_, L> {
    /// Mounts it, detached.
    pub(crate) fn mount(&self, stage: &Stage) -> Result<OwnedFd, StartError> {
        let base = match &self.upper {
            Upper::Memory { size } => {
                let size = size.map(|size| size.to_string());
                let mut options = vec![("mode", "0700")];
                options.extend(size.as_deref().map(|size| ("size", size)));
                attach(&tmpfs(&options)?, &stage.upper())?;
                stage.upper()
            }
            Upper::Directory(path) => path.clone(),
        };
        let (upper, work) = (base.join("upper"), base.join("work"));
        for path in [&upper, &work] {
            rustix::fs::mkdir(path, Mode::from_raw_mode(0o700)).during_at("make", path)?;
        }
        if let Some(top) = self.layers.last() {
            show_as(top.as_ref(), &upper)?;
        }
        let mounted = match stage.lower_dirs() {
            LowerDirs::OneByOne => configure(self.layers, &upper, &work),
            LowerDirs::AllAtOnce => classic::mount(self.layers, &upper, &work, &stage.root()),
        };
        mounted.map_err(|error| {
            if error.is_invalid_argument() && is_on_overlay(&upper) {
                StartError::UpperOnOverlay
            } else {
                error
            }
        })
    }
}

/// Whether a path is on an overlay, which the kernel does not take as another one's upper layer.
pub(crate) fn is_on_overlay(path: &Path) -> bool {
    /// `OVERLAYFS_SUPER_MAGIC`, statfs(2).
    const OVERLAY: rustix::fs::FsWord = 0x794c_7630;
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type == OVERLAY)
}

/// Marks as `user.` attributes: without it the kernel would look for `trusted.` ones, which a user namespace cannot set,
/// and would silently ignore opaque directories.
const USER_MARKS: &str = "userxattr";
/// The upper layer is thrown away: syncing it is wasted.
const NEVER_SYNC: &str = "volatile";

/// Mounts through fsopen(2), whose strings are bounded to 256 bytes, each.
fn configure<L: AsRef<Path>>(
    layers: &[L],
    upper: &Path,
    work: &Path,
) -> Result<OwnedFd, StartError> {
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).during("open overlay")?;
    for flag in [USER_MARKS, NEVER_SYNC] {
        fsconfig_set_flag(&fs, flag).during_at("set on the overlay", Path::new(flag))?;
    }
    for layer in layers.iter().rev().map(AsRef::as_ref) {
        fsconfig_set_string(&fs, "lowerdir+", layer).during_at("use as layer", layer)?;
    }
    fsconfig_set_string(&fs, "upperdir", upper).during_at("use as upper layer", upper)?;
    fsconfig_set_string(&fs, "workdir", work).during_at("use as work directory", work)?;
    fsconfig_create(&fs).during("create the overlay")?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, PLAIN).during("mount the overlay")
}

/// Gives `upper` the mode, owner and time of `lower`: a merged root shows those of its upper directory.
fn show_as(lower: &Path, upper: &Path) -> Result<(), StartError> {
    let of = rustix::fs::stat(lower).during_at("stat", lower)?;
    if (of.st_uid, of.st_gid) != (0, 0) {
        // An owner that the namespace does not have stays root here, as for every file it makes.
        let _ = rustix::fs::chown(
            upper,
            Some(Uid::from_raw(of.st_uid)),
            Some(Gid::from_raw(of.st_gid)),
        );
    }
    let mode = Mode::from_raw_mode(of.st_mode);
    rustix::fs::chmod(upper, mode).during_at("restrict", upper)?;
    let time = Timespec {
        tv_sec: of.st_mtime,
        tv_nsec: of.st_mtime_nsec.cast_signed(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, upper, &times, AtFlags::empty()).during_at("date", upper)
}

/// A detached tmpfs with these options.
pub(super) fn tmpfs(options: &[(&str, &str)]) -> Result<OwnedFd, StartError> {
    filesystem("tmpfs", options)
}

/// A detached mount of a file system that needs no device.
pub(super) fn filesystem(kind: &str, options: &[(&str, &str)]) -> Result<OwnedFd, StartError> {
    mount_filesystem(kind, options, PLAIN)
}

/// The same of a writable one, with what shows as its source (proc_pid_mountinfo(5)).
pub(super) fn labelled(
    kind: &str,
    label: &str,
    options: &[(String, String)],
) -> Result<OwnedFd, StartError> {
    let mut all = Vec::with_capacity(options.len() + 1);
    if !label.is_empty() {
        all.push(("source", label));
    }
    all.extend(options.iter().map(|(key, value)| (&**key, &**value)));
    filesystem(kind, &all)
}

/// The same without options, read-only.
pub(super) fn read_only_filesystem(kind: &str, label: &str) -> Result<OwnedFd, StartError> {
    let source = [("source", label)];
    let options = if label.is_empty() { &[] } else { &source[..] };
    mount_filesystem(kind, options, MountAttrFlags::MOUNT_ATTR_RDONLY)
}

fn mount_filesystem(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, StartError> {
    let fs = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).during_at("open", Path::new(kind))?;
    for (key, value) in options {
        if value.is_empty() {
            fsconfig_set_flag(&fs, *key)
        } else {
            fsconfig_set_string(&fs, *key, *value)
        }
        .during_at("configure", Path::new(kind))?;
    }
    fsconfig_create(&fs).during_at("create", Path::new(kind))?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).during_at("mount", Path::new(kind))
}

#[cfg(test)]
mod tests;
