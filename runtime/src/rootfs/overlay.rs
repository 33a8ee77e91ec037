//! Overlay file systems through the new mount interface (fsopen(2), Documentation/filesystems/overlayfs.rst).

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, Timespec, Timestamps};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount,
    fsopen,
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
    /// A tmpfs that is gone with the container's mount namespace, whatever happens to the agent. Bounded by half of
    /// the machine's memory, as every tmpfs.
    Memory,
    /// Two fresh directories, `upper` and `work`, in this one. An overlay that was mounted `volatile` can never be
    /// mounted again from the same `work`.
    Directory(PathBuf),
}

impl<L: AsRef<Path>> Overlay<'_, L> {
    /// Mounts it, detached.
    pub(crate) fn mount(&self, stage: &Stage) -> Result<OwnedFd, StartError> {
        let base = match &self.upper {
            Upper::Memory => {
                attach(&tmpfs(&[("mode", "0700")])?, &stage.upper())?;
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
        let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).during("open overlay")?;
        // Without it the kernel would look for `trusted.` attributes, which a user namespace cannot set, and would
        // silently ignore opaque directories.
        fsconfig_set_flag(&fs, "userxattr").during("set userxattr on the overlay")?;
        // The upper layer is thrown away: syncing it is wasted.
        fsconfig_set_flag(&fs, "volatile").during("set volatile on the overlay")?;
        set_layers(&fs, self.layers)?;
        fsconfig_set_string(&fs, "upperdir", &upper).during_at("use as upper layer", &upper)?;
        fsconfig_set_string(&fs, "workdir", &work).during_at("use as work directory", &work)?;
        fsconfig_create(&fs).during("create the overlay")?;
        fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, PLAIN).during("mount the overlay")
    }
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

/// Adds the lower layers, one `lowerdir+` each (Linux 6.5), else all in one option.
fn set_layers<L: AsRef<Path>>(fs: &OwnedFd, layers: &[L]) -> Result<(), StartError> {
    for (position, layer) in layers.iter().rev().enumerate() {
        let layer = layer.as_ref();
        match fsconfig_set_string(fs, "lowerdir+", layer) {
            Ok(()) => {}
            Err(Errno::INVAL) if position == 0 => return set_layers_at_once(fs, layers),
            Err(error) => return Err(error).during_at("use as layer", layer),
        }
    }
    Ok(())
}

/// The option before Linux 6.5; fsconfig(2) bounds it to 256 bytes, which holds few layers.
fn set_layers_at_once<L: AsRef<Path>>(fs: &OwnedFd, layers: &[L]) -> Result<(), StartError> {
    let names: Vec<_> = layers
        .iter()
        .rev()
        .map(|layer| {
            layer
                .as_ref()
                .to_string_lossy()
                .replace('\\', "\\\\")
                .replace(':', "\\:")
        })
        .collect();
    fsconfig_set_string(fs, "lowerdir", names.join(":")).during("set the overlay's layers")
}

/// A detached tmpfs with these options.
pub(super) fn tmpfs(options: &[(&str, &str)]) -> Result<OwnedFd, StartError> {
    filesystem("tmpfs", options)
}

/// A detached mount of a file system that needs no device.
pub(super) fn filesystem(kind: &str, options: &[(&str, &str)]) -> Result<OwnedFd, StartError> {
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
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, PLAIN).during_at("mount", Path::new(kind))
}
