//! The root of a bundle: mounted as it says, in its order, and covered as every container's is on top of that.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::overlay::{filesystem, labelled};
use super::{Built, Root, clone_tree, dev, leave_alone_the_kernels, pseudo, spread};
use crate::container::error::During;
use crate::container::prepared::Prepared;
use crate::container::{
    AccessTime, Attributes, Bundle, BundleMount, ContainerSpec, Content, Device, Network, Phase,
    Propagation, StartError, TerminalSize, Trace,
};
use crate::security::Defence;
use crate::sys::{self, MountAttr, mount_setattr};

/// Builds it.
pub(super) fn build(
    prepared: &Prepared,
    spec: &ContainerSpec,
    bundle: &Bundle,
    terminal: Option<TerminalSize>,
    trace: &mut Trace,
) -> Result<Built, StartError> {
    let stage = &prepared.stage;
    let tree = clone_tree(&stage.held(&bundle.root))?;
    let attr = MountAttr {
        no_dev: true,
        // In the zygote it follows the machine's.
        spread: Some(sys::Spread::Private),
        recursive: true,
        ..MountAttr::default()
    };
    mount_setattr(&tree, attr).during("restrict the root")?;
    let root = Root::attach(stage, &tree)?;
    trace.mark(Phase::Root);
    for one in &bundle.mounts {
        mount(&root, prepared, spec.network, one)?;
    }
    trace.mark(Phase::Mounts);
    dev::complete(&root)?;
    for device in &bundle.devices {
        make(&root, device)?;
    }
    let terminal = terminal
        .map(|size| dev::open_terminal(&root, size))
        .transpose()?;
    trace.mark(Phase::Dev);
    set_parameters(bundle)?;
    pseudo::cover(&root, prepared)?;
    for path in &bundle.masked {
        pseudo::mask(&root, stage, path)?;
    }
    for path in &bundle.read_only_paths {
        // It says nothing about programs and devices in there.
        pseudo::make_read_only(&root, path, MountAttr::default())?;
    }
    trace.mark(Phase::Masked);
    if bundle.read_only {
        root.seal()?;
    }
    Ok(Built {
        root,
        exchange: Vec::new(),
        terminal,
        propagation: Some(bundle.propagation),
    })
}

fn mount(
    root: &Root,
    prepared: &Prepared,
    network: Network,
    mount: &BundleMount,
) -> Result<(), StartError> {
    let target = mount.target.as_path();
    let label = mount.label.as_str();
    let is_at = |place: &str| target.components().eq(Path::new(place).components());
    let own_place = match mount.content {
        Content::Proc => is_at("/proc"),
        Content::Sys => is_at("/sys"),
        Content::Cgroup => is_at(pseudo::CGROUP),
        _ => false,
    };
    if !own_place {
        leave_alone_the_kernels(target)?;
    }
    let (tree, restricted) = match &mount.content {
        Content::Proc => (labelled("proc", label, &[])?, pseudo::RESTRICTED),
        Content::Sys => (pseudo::sys(network, label)?, pseudo::RESTRICTED),
        Content::Mqueue => (mqueue(label)?, pseudo::RESTRICTED),
        Content::Cgroup => (pseudo::cgroup(label)?, pseudo::RESTRICTED),
        Content::Devpts { options } => {
            let terminals = MountAttr {
                no_dev: false,
                ..pseudo::RESTRICTED
            };
            (devpts(label, options)?, terminals)
        }
        Content::Tmpfs { options } => (labelled("tmpfs", label, options)?, MountAttr::default()),
        Content::Held { name } => (
            clone_tree(&prepared.stage.held(name))?,
            MountAttr {
                no_dev: true,
                spread: follows(mount),
                recursive: true,
                ..MountAttr::default()
            },
        ),
    };
    let no_suid = MountAttr {
        no_suid: Defence::NoSetUserId.is_on(),
        ..restricted
    };
    let failed = "restrict the mount";
    mount_setattr(&tree, no_suid).during_at(failed, target)?;
    for (attributes, recursive) in [(mount.below, true), (mount.attributes, false)] {
        if attributes != Attributes::default() {
            let attr = with(attributes, recursive);
            mount_setattr(&tree, attr).during_at(failed, target)?;
        }
    }
    match mount.content {
        Content::Held { .. } | Content::Tmpfs { .. } => root.mount_following(&tree, target)?,
        _ => root.mount(&tree, target)?,
    }
    if let Some(propagation) = mount.propagation {
        let attr = MountAttr {
            spread: Some(spread(propagation)),
            recursive: mount.propagation_below,
            ..MountAttr::default()
        };
        mount_setattr(&tree, attr).during_at("set the propagation of", target)?;
    }
    Ok(())
}

/// A tree of the machine follows it in the zygote, and in the container only if that is said.
fn follows(mount: &BundleMount) -> Option<sys::Spread> {
    match mount.propagation {
        Some(Propagation::Slave) => None,
        _ => Some(sys::Spread::Private),
    }
}

fn with(attributes: Attributes, recursive: bool) -> MountAttr<'static> {
    MountAttr {
        read_only: attributes.read_only,
        no_suid: attributes.no_suid,
        no_exec: attributes.no_exec,
        no_symlinks: attributes.no_symlinks,
        no_dir_access_time: attributes.no_dir_access_time,
        access_time: attributes.access_time.map(|time| match time {
            AccessTime::Relative => sys::AccessTime::Relative,
            AccessTime::Never => sys::AccessTime::Never,
            AccessTime::Strict => sys::AccessTime::Strict,
        }),
        recursive,
        ..MountAttr::default()
    }
}

/// A container on the machine's IPC sees the machine's queues: only its owner may mount them.
fn mqueue(label: &str) -> Result<OwnedFd, StartError> {
    labelled("mqueue", label, &[]).or_else(|error| match error {
        StartError::System { errno, .. } if errno == libc::EPERM => {
            let tree = clone_tree(Path::new("/dev/mqueue"))?;
            let attr = MountAttr {
                spread: Some(sys::Spread::Private),
                recursive: true,
                ..MountAttr::default()
            };
            mount_setattr(&tree, attr).during("detach the queues from the machine's")?;
            Ok(tree)
        }
        error => Err(error),
    })
}

/// Terminals; the group is left out where it does not exist.
fn devpts(label: &str, options: &[(String, String)]) -> Result<OwnedFd, StartError> {
    let mut all = vec![("newinstance".to_owned(), String::new())];
    all.extend(
        options
            .iter()
            .filter(|(key, _)| key != "newinstance")
            .cloned(),
    );
    labelled("devpts", label, &all).or_else(|_| {
        all.retain(|(key, _)| key != "gid");
        labelled("devpts", label, &all)
    })
}

fn make(root: &Root, device: &Device) -> Result<(), StartError> {
    match device {
        Device::OfMachine { path } => dev::bind(root, path),
        Device::Fifo {
            path,
            mode,
            user,
            group,
        } => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(Errno::INVAL).during_at("make", path);
            };
            let parent = root.directory(parent)?;
            let bits = Mode::from_raw_mode(*mode);
            rustix::fs::mknodat(&parent, name, FileType::Fifo, bits, 0).during_at("make", path)?;
            let owner = (Uid::from_raw(*user), Gid::from_raw(*group));
            let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::chownat(&parent, name, Some(owner.0), Some(owner.1), flags)
                .during_at("give away", path)
        }
    }
}

/// Writes parameters of the kernel through a `/proc` that nobody else sees. Which of them are the container's own, whoever
/// made the bundle knows; those that are the machine's, the kernel lets nobody in a user namespace write.
fn set_parameters(bundle: &Bundle) -> Result<(), StartError> {
    if !bundle.domainname.is_empty() {
        rustix::system::setdomainname(bundle.domainname.as_bytes())
            .during("set the domain name")?;
    }
    if bundle.sysctl.is_empty() {
        return Ok(());
    }
    let proc = filesystem("proc", &[])?;
    for (path, value) in &bundle.sysctl {
        let below = Path::new("sys").join(path);
        let strict = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat2(&proc, &below, flags, Mode::empty(), strict);
        let file = file.during_at("open the parameter", path)?;
        rustix::io::write(&file, value.as_bytes()).during_at("set the parameter", path)?;
    }
    Ok(())
}
