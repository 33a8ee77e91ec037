//! `/proc` and `/sys`, and what of them a container does not get to see or to change.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use super::overlay::{filesystem, labelled, read_only_filesystem};
use super::{Root, Stage, clone_tree};
use crate::container::error::{During, refused};
use crate::container::prepared::Prepared;
use crate::container::{Network, StartError};
use crate::security::Defence;
use crate::security::masks::READ_ONLY;
use crate::sys::{MountAttr, Spread, mount_setattr};

pub(super) const RESTRICTED: MountAttr<'static> = MountAttr {
    read_only: false,
    no_suid: true,
    no_dev: true,
    no_exec: true,
    id_map: None,
    access_time: None,
    no_dir_access_time: false,
    no_symlinks: false,
    spread: None,
    recursive: false,
};

/// Mounts both. The process must already be in the container's PID namespace.
pub(super) fn mount(root: &Root, network: Network) -> Result<(), StartError> {
    let proc = filesystem("proc", &[])?;
    mount_setattr(&proc, RESTRICTED).during("restrict proc")?;
    root.mount(&proc, Path::new("/proc"))?;
    root.mount(&sys(network, "")?, Path::new("/sys"))?;
    if network == Network::Pod
        // Programs read there what they may use. On a machine without any there is nothing to see.
        && let Ok(groups) = cgroup("")
    {
        root.mount(&groups, Path::new(CGROUP))?;
    }
    Ok(())
}

/// Where control groups are mounted.
pub(super) const CGROUP: &str = "/sys/fs/cgroup";

/// Version 2 is mounted; of version 1 the machine's mounts are shown. Nothing can be written.
pub(super) fn cgroup(label: &str) -> Result<OwnedFd, StartError> {
    /// `CGROUP2_SUPER_MAGIC`, statfs(2).
    const VERSION_2: rustix::fs::FsWord = 0x6367_7270;
    let is_2 = rustix::fs::statfs(CGROUP).is_ok_and(|found| found.f_type == VERSION_2);
    let own = is_2.then(|| labelled("cgroup2", label, &[]));
    let tree = match own {
        Some(Ok(tree)) => tree,
        Some(Err(_)) | None => clone_tree(Path::new(CGROUP))?,
    };
    let attr = MountAttr {
        read_only: true,
        // What the machine mounts there later is not for this container.
        spread: Some(Spread::Private),
        recursive: true,
        ..RESTRICTED
    };
    mount_setattr(&tree, attr).during("make control groups read-only")?;
    Ok(tree)
}

/// Covers what must be covered.
pub(super) fn cover(root: &Root, prepared: &Prepared) -> Result<(), StartError> {
    if Defence::Masks.is_on() {
        for path in &prepared.masked {
            mask(root, &prepared.stage, path)?;
        }
    }
    if Defence::ReadOnlyPaths.is_on() {
        for path in READ_ONLY {
            make_read_only(root, Path::new(path), RESTRICTED)?;
        }
    }
    Ok(())
}

/// A sysfs shows the network namespace it is mounted in and may only be mounted by its owner: a container on the
/// machine's network gets the machine's mount instead, read-only throughout.
pub(super) fn sys(network: Network, label: &str) -> Result<OwnedFd, StartError> {
    let (tree, recursive) = match network {
        // Inside another container it has to be so from the beginning.
        Network::None | Network::Pod if Defence::ReadOnlyPaths.is_on() => {
            (read_only_filesystem("sysfs", label)?, false)
        }
        Network::None | Network::Pod => (filesystem("sysfs", &[])?, false),
        Network::Host => (clone_tree(Path::new("/sys"))?, true),
    };
    let attr = MountAttr {
        read_only: Defence::ReadOnlyPaths.is_on(),
        // What the machine mounts there later is not for this container.
        spread: recursive.then_some(Spread::Private),
        recursive,
        ..RESTRICTED
    };
    mount_setattr(&tree, attr).during("make sys read-only")?;
    Ok(tree)
}

/// Covers a file with `/dev/null` and a directory with an empty one.
pub(super) fn mask(root: &Root, stage: &Stage, path: &Path) -> Result<(), StartError> {
    let Some((target, is_directory)) = open(root, path)? else {
        return Ok(());
    };
    let cover = if is_directory {
        stage.empty()
    } else {
        Path::new("/dev/null").to_owned()
    };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, &cover, flags).during_at("clone the cover", &cover)?;
    root.mount_on(&tree, &target, path)
}

/// Covers something with a read-only view of itself, to which the attributes of `further` are added.
pub(super) fn make_read_only(
    root: &Root,
    path: &Path,
    further: MountAttr<'_>,
) -> Result<(), StartError> {
    let Some((target, _)) = open(root, path)? else {
        return Ok(());
    };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(&target, "", flags).during_at("clone", path)?;
    let attr = MountAttr {
        read_only: true,
        recursive: true,
        ..further
    };
    mount_setattr(&tree, attr).during_at("make read-only", path)?;
    root.mount_on(&tree, &target, path)
}

/// What this kernel does not have need not be covered.
fn open(root: &Root, path: &Path) -> Result<Option<(OwnedFd, bool)>, StartError> {
    match root.open(path) {
        Ok(target) => {
            let stat = rustix::fs::fstat(&target).during_at("stat", path)?;
            let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
            if kind.is_symlink() {
                return Err(refused(path, "a mount point", Errno::LOOP));
            }
            Ok(Some((target, kind.is_dir())))
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(refused(path, "a mount point", errno)),
    }
}
