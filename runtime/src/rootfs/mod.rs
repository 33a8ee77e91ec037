//! A container's root file system, built inside its own mount namespace and then made the only one it has.
//!
//! ```text
//! overlay (image layers, private upper)  ->  /dev /proc /sys  ->  mounts of the job  ->  files  ->  pivot
//! ```
//!
//! Everything mounted inside goes through [`Root`], which resolves a path in the image's tree without ever following a
//! symbolic link out of it: the image is hostile. Neighbours: `container::init` calls [`build`] and [`Root::enter`];
//! the zygote has prepared the [`Stage`].

mod dev;
mod overlay;
mod pseudo;
mod root;
mod stage;

pub(crate) use overlay::{Overlay, Upper};
pub(crate) use root::Root;
pub(crate) use stage::Stage;

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};

use crate::container::error::During;
use crate::container::prepared::Prepared;
use crate::container::{ContainerSpec, MountSource, Network, StartError};
use crate::sys::{MountAttr, mount_setattr};

/// Builds the whole root that `spec` asks for; the calling process must be in a mount namespace of its own.
pub(crate) fn build(
    prepared: &Prepared,
    spec: &ContainerSpec,
    upper: Upper,
) -> Result<Root, StartError> {
    let stage = &prepared.stage;
    let overlay = Overlay {
        layers: &spec.rootfs.layers,
        upper,
    };
    let root = Root::attach(stage, &overlay.mount(stage)?)?;
    dev::mount(&root)?;
    pseudo::mount(&root, prepared, spec.network)?;
    for mount in &spec.mounts {
        let tree = match &mount.source {
            MountSource::Held { name } => clone_tree(&stage.held(name))?,
            MountSource::Tmpfs { size } => {
                overlay::tmpfs(&[("size", &size.to_string()), ("mode", "1777")])?
            }
        };
        let attr = MountAttr {
            read_only: mount.read_only,
            no_suid: true,
            no_dev: true,
            recursive: true,
            ..MountAttr::default()
        };
        mount_setattr(&tree, attr).during_at("restrict the mount", &mount.target)?;
        root.mount(&tree, &mount.target)?;
    }
    let resolver = match spec.network {
        Network::Host => std::fs::read("/etc/resolv.conf").unwrap_or_default(),
        Network::None => Vec::new(),
    };
    root.write_file(Path::new("/etc/resolv.conf"), &resolver, 0o644)?;
    root.write_file(
        Path::new("/etc/hosts"),
        hosts(&spec.hostname).as_bytes(),
        0o644,
    )?;
    root.write_file(
        Path::new("/etc/hostname"),
        format!("{}\n", spec.hostname).as_bytes(),
        0o644,
    )?;
    for file in &spec.files {
        root.write_file(&file.path, &file.content, file.mode)?;
    }
    Ok(root)
}

fn hosts(hostname: &str) -> String {
    format!(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t{hostname}\n"
    )
}

/// A detached copy of the mount at `path` with everything mounted below it.
pub(crate) fn clone_tree(path: &Path) -> Result<OwnedFd, StartError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags).during_at("clone the mount of", path)
}

/// No attribute: `fsmount(2)`'s default.
pub(super) const PLAIN: MountAttrFlags = MountAttrFlags::empty();

/// A fresh proc of our own PID namespace over the one we came with. The kernel mounts a container's proc only where a
/// whole one is visible.
pub(crate) fn mount_proc() -> Result<(), StartError> {
    stage::attach(&overlay::filesystem("proc", &[])?, Path::new("/proc"))
}
