//! A container's root file system, built inside its own mount namespace and then made the only one it has.
//!
//! ```text
//! overlay (image layers, private upper)  ->  /dev /proc /sys  ->  mounts of the job  ->  files  ->  pivot
//! bundle                                 ->  mounts as it says  ->  devices  ->  parameters, covers  ->  pivot
//! ```
//!
//! Everything mounted inside goes through [`Root`], which resolves a path in the image's tree without ever following a
//! symbolic link out of it: the image is hostile. Neighbours: `container::init` calls [`build`] and [`Root::enter`];
//! the zygote has prepared the [`Stage`].

mod bundle;
mod dev;
mod home;
mod mount_table;
mod nesting;
mod overlay;
mod pseudo;
mod root;
mod stage;

pub(crate) use mount_table::{mount_below, unescaped};
pub(crate) use overlay::{Overlay, Upper, is_on_overlay};
pub(crate) use root::Root;
pub(crate) use stage::Stage;

use home::Home;

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};

use crate::container;
use crate::container::error::{During, refused};
use crate::container::prepared::Prepared;
use crate::container::terminal::Terminal;
use crate::container::{
    ContainerSpec, Layers, MountSource, Network, Phase, Propagation, Rootfs, StartError,
    TerminalSize, Trace,
};
use crate::network::Joined;
use crate::security::Defence;
use crate::sys::{MountAttr, Spread, mount_setattr};

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// A root that is ready to be entered.
#[derive(Debug)]
pub(crate) struct Built {
    /// The root.
    pub(crate) root: Root,
    /// The files of the specification's exchange, open.
    pub(crate) exchange: Vec<File>,
    /// The command's terminal, if it is to have one.
    pub(crate) terminal: Option<Terminal>,
    /// What becomes of mounts on it, if that is said: nothing, otherwise.
    pub(crate) propagation: Option<Propagation>,
}

/// Builds the whole root that `spec` asks for, with a terminal of a size; the calling process must be in a mount namespace
/// of its own.
pub(crate) fn build(
    prepared: &Prepared,
    spec: &ContainerSpec,
    joined: Option<&Joined>,
    upper: Option<Upper>,
    terminal: Option<TerminalSize>,
    trace: &mut Trace,
) -> Result<Built, StartError> {
    match (&spec.rootfs, upper) {
        (Rootfs::Layers(layers), Some(upper)) => {
            build_layers(prepared, spec, joined, (layers, upper), terminal, trace)
        }
        (Rootfs::Layers(_), None) => Err(Errno::INVAL).during("take the upper layer"),
        (Rootfs::Bundle(bundle), _) => bundle::build(prepared, spec, bundle, terminal, trace),
    }
}

fn build_layers(
    prepared: &Prepared,
    spec: &ContainerSpec,
    joined: Option<&Joined>,
    (layers, upper): (&Layers, Upper),
    terminal: Option<TerminalSize>,
    trace: &mut Trace,
) -> Result<Built, StartError> {
    let stage = &prepared.stage;
    let overlay = Overlay {
        layers: &layers.layers,
        upper,
    };
    let root = Root::attach(stage, &overlay.mount(stage)?)?;
    trace.mark(Phase::Root);
    dev::mount(&root)?;
    let terminal = terminal
        .map(|size| dev::open_terminal(&root, size))
        .transpose()?;
    trace.mark(Phase::Dev);
    pseudo::mount(&root, spec.network)?;
    trace.mark(Phase::Kernel);
    pseudo::cover(&root, prepared)?;
    if spec.process.nesting {
        nesting::prepare(&root, spec.network)?;
    }
    trace.mark(Phase::Masked);
    let mut home = Home::new(&root, &spec.process);
    let mut covered: Vec<PathBuf> = Vec::new();
    for mount in &spec.mounts {
        let target = home.target(&mount.target)?;
        leave_alone_the_kernels(&target)?;
        // Where a home is nobody has known before: what was mounted already stays to be seen.
        if target != mount.target && covered.iter().any(|other| other.starts_with(&target)) {
            return Err(refused(&target, "a mount point", Errno::BUSY));
        }
        let tree = match &mount.source {
            MountSource::Held { name } => clone_tree(&stage.held(name))?,
            MountSource::Tmpfs { size } => {
                overlay::tmpfs(&[("size", &size.to_string()), ("mode", "1777")])?
            }
        };
        let attr = MountAttr {
            read_only: mount.read_only,
            no_suid: Defence::NoSetUserId.is_on(),
            no_dev: true,
            recursive: true,
            ..MountAttr::default()
        };
        mount_setattr(&tree, attr).during_at("restrict the mount", &target)?;
        root.mount(&tree, &target)?;
        covered.push(target);
    }
    trace.mark(Phase::Mounts);
    write_files(&root, spec, joined)?;
    let exchange = make_all(&root, &spec.exchange)?;
    if layers.read_only {
        if spec.process.create_cwd {
            // Later is too late. Where it cannot be made, the command says so.
            let _ = root.directory(&spec.process.cwd);
        }
        root.seal()?;
    }
    trace.mark(Phase::Files);
    Ok(Built {
        root,
        exchange,
        terminal,
        propagation: None,
    })
}

/// What every container finds in its `/etc`, and the files of its own.
fn write_files(
    root: &Root,
    spec: &ContainerSpec,
    joined: Option<&Joined>,
) -> Result<(), StartError> {
    let (resolver, addresses) = match (spec.network, joined) {
        (Network::Pod, Some(joined)) => {
            let resolver = joined.resolv_conf.clone().into_bytes();
            (resolver, joined.addresses.as_slice())
        }
        (Network::Host, _) => (std::fs::read(RESOLV_CONF).unwrap_or_default(), &[][..]),
        (Network::None | Network::Pod, _) => (Vec::new(), &[][..]),
    };
    root.write_file(Path::new(RESOLV_CONF), &resolver, 0o644)?;
    let hosts = hosts(&spec.hostname, addresses);
    root.write_file(Path::new("/etc/hosts"), hosts.as_bytes(), 0o644)?;
    root.write_file(
        Path::new("/etc/hostname"),
        format!("{}\n", spec.hostname).as_bytes(),
        0o644,
    )?;
    write_all(root, &spec.files)
}

fn write_all(root: &Root, files: &[container::File]) -> Result<(), StartError> {
    for file in files {
        root.write_file(&file.path, &file.content, file.mode)?;
    }
    Ok(())
}

fn make_all(root: &Root, exchange: &[PathBuf]) -> Result<Vec<File>, StartError> {
    exchange
        .iter()
        .map(|path| root.make_file(path, 0o666))
        .collect()
}

/// Writes and makes in the root that was entered what was not known when it was built.
pub(crate) fn complete(
    files: &[container::File],
    exchange: &[PathBuf],
) -> Result<Vec<File>, StartError> {
    let root = Root::entered()?;
    write_all(&root, files)?;
    make_all(&root, exchange)
}

/// A mount over `/proc` or `/sys` would take the masks away, or show a process something else than the kernel's files
/// when it asks about itself (CVE-2019-16884, CVE-2019-19921, CVE-2023-27561).
fn leave_alone_the_kernels(target: &Path) -> Result<(), StartError> {
    let names: PathBuf = root::normal_components(target).iter().collect();
    let is_the_kernels = ["proc", "sys"].iter().any(|top| names.starts_with(top));
    if is_the_kernels && Defence::MountTargets.is_on() {
        return Err(StartError::MountTarget {
            path: target.to_owned(),
        });
    }
    Ok(())
}

/// The same for a place to which links of the image have led: there the file system tells, not the path.
fn leave_alone_the_kernels_files(place: &OwnedFd, path: &Path) -> Result<(), StartError> {
    /// `PROC_SUPER_MAGIC`, `SYSFS_MAGIC`, `CGROUP_SUPER_MAGIC` and `CGROUP2_SUPER_MAGIC`, statfs(2).
    const THE_KERNELS: [rustix::fs::FsWord; 4] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270];
    let found = rustix::fs::fstatfs(place).during_at("look at the file system of", path)?;
    if THE_KERNELS.contains(&found.f_type) && Defence::MountTargets.is_on() {
        return Err(StartError::MountTarget {
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// Of the container itself; others are in DNS.
fn hosts(hostname: &str, addresses: &[IpAddr]) -> String {
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
    let own = addresses.iter().map(ToString::to_string);
    let nowhere = addresses.is_empty().then(|| "127.0.1.1".to_owned());
    for address in own.chain(nowhere) {
        text.push_str(&format!("{address}\t{hostname}\n"));
    }
    text
}

/// A detached copy of the mount at `path` with everything mounted below it.
pub(crate) fn clone_tree(path: &Path) -> Result<OwnedFd, StartError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags).during_at("clone the mount of", path)
}

/// The same, where no symbolic link may be on the way.
pub(crate) fn clone_without_links(path: &Path) -> Result<OwnedFd, StartError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    let place = open_without_links(path).during_at("open", path)?;
    open_tree(place, "", flags).during_at("clone the mount of", path)
}

/// Opens a path of the machine that has been resolved before: a link in it has come since.
pub(crate) fn open_without_links(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let strict = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(CWD, path, flags, Mode::empty(), strict)
}

/// Whether a detached mount is of a directory; else it is of a file.
fn is_directory(tree: &OwnedFd) -> Result<bool, StartError> {
    let stat = rustix::fs::fstat(tree).during("look at a mount")?;
    Ok(FileType::from_raw_mode(stat.st_mode).is_dir())
}

/// How the kernel calls it.
pub(super) const fn spread(propagation: Propagation) -> Spread {
    match propagation {
        Propagation::Private => Spread::Private,
        Propagation::Shared => Spread::Shared,
        Propagation::Slave => Spread::Slave,
        Propagation::Unbindable => Spread::Unbindable,
    }
}

/// No attribute: `fsmount(2)`'s default.
pub(super) const PLAIN: MountAttrFlags = MountAttrFlags::empty();

/// A fresh proc of our own PID namespace over the one we came with. The kernel mounts a container's proc only where a
/// whole one is visible.
pub(crate) fn mount_proc() -> Result<(), StartError> {
    stage::attach(&overlay::filesystem("proc", &[])?, Path::new("/proc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_has_come_since_leads_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().canonicalize().unwrap();
        std::fs::create_dir_all(real.join("parent/source")).unwrap();
        assert!(open_without_links(&real.join("parent/source")).is_ok());
        // Whoever may write to the directory above puts another tree in its place.
        std::fs::rename(real.join("parent"), real.join("moved")).unwrap();
        std::os::unix::fs::symlink("moved", real.join("parent")).unwrap();
        let refused = open_without_links(&real.join("parent/source"));
        assert_eq!(refused.unwrap_err(), Errno::LOOP);
    }
}
