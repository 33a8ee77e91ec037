//! `/dev`: six nodes bound from the machine's, terminals, shared memory and message queues of the container's own.
//! (OCI runtime specification, "Default Devices" and "Default Filesystems".)

use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::overlay::{filesystem, tmpfs};
use super::{Root, clone_tree};
use crate::container::error::During;
use crate::container::terminal::Terminal;
use crate::container::{StartError, TerminalSize};
use crate::security::Defence;
use crate::sys::{MountAttr, mount_setattr};

const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("core", "/proc/kcore"),
];
/// Of `/dev/shm`: enough for a browser or a database under test; memory is only taken when it is used.
const SHM_SIZE: &str = "1g";

/// Mounts `/dev` and everything in it.
pub(super) fn mount(root: &Root) -> Result<(), StartError> {
    let dev = tmpfs(&[("mode", "0755"), ("size", "64k")])?;
    root.mount(&dev, Path::new("/dev"))?;
    for node in NODES {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let target = openat(&dev, node, flags, Mode::from_raw_mode(0o666));
        let target = target.during_at("make the device file", Path::new(node))?;
        let source = Path::new("/dev").join(node);
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, &source, flags).during_at("clone the device", &source)?;
        root.mount_on(&tree, &target, &source)?;
    }
    for (name, target) in LINKS {
        symlinkat(target, &dev, name).during_at("link the device", Path::new(name))?;
    }
    let pts = if Defence::OwnTerminals.is_on() {
        devpts()?
    } else {
        clone_tree(Path::new("/dev/pts"))?
    };
    let shm = tmpfs(&[("mode", "1777"), ("size", SHM_SIZE)])?;
    let mqueue = filesystem("mqueue", &[])?;
    for (name, tree, no_exec) in [
        ("pts", &pts, true),
        ("shm", &shm, false),
        ("mqueue", &mqueue, true),
    ] {
        mkdirat(&dev, name, Mode::from_raw_mode(0o755)).during_at("make", Path::new(name))?;
        let attr = MountAttr {
            no_suid: true,
            no_dev: name != "pts",
            no_exec,
            ..MountAttr::default()
        };
        mount_setattr(tree, attr).during_at("restrict", Path::new(name))?;
        move_mount(
            tree,
            "",
            &dev,
            name,
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )
        .during_at("mount", Path::new(name))?;
    }
    Ok(())
}

/// The same nodes and links in a `/dev` that was not made here.
pub(super) fn complete(root: &Root) -> Result<(), StartError> {
    for node in NODES {
        bind(root, &Path::new("/dev").join(node))?;
    }
    let dev = root.directory(Path::new("/dev"))?;
    for (name, target) in LINKS {
        match symlinkat(target, &dev, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            result => result.during_at("link the device", Path::new(name))?,
        }
    }
    Ok(())
}

/// Shows a device of the machine at the same path.
pub(super) fn bind(root: &Root, path: &Path) -> Result<(), StartError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, path, flags).during_at("clone the device", path)?;
    root.mount(&tree, path)
}

/// Makes a terminal among the container's own, and shows it as its console as well (OCI runtime specification, "Default
/// Devices"). Both are reached by descriptor and never by a name that the image could have given away (CVE-2025-52565).
pub(super) fn open_terminal(root: &Root, size: TerminalSize) -> Result<Terminal, StartError> {
    let ptmx = Path::new("/dev/pts/ptmx");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let outside = root.open_with(ptmx, flags);
    let terminal = Terminal::of(outside.during_at("open", ptmx)?, size)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(&terminal.inside, "", flags).during("clone the terminal")?;
    root.mount(&tree, Path::new("/dev/console"))?;
    Ok(terminal)
}

/// Terminals of the container's own. Group 5 is `tty` on every distribution; where it is not mapped the kernel
/// refuses it and the terminals belong to the opener's group.
fn devpts() -> Result<std::os::fd::OwnedFd, StartError> {
    let base = [("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620")];
    let mut with_group = base.to_vec();
    with_group.push(("gid", "5"));
    filesystem("devpts", &with_group).or_else(|_| filesystem("devpts", &base))
}
