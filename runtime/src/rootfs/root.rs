//! The tree of an image, entered by descriptor: no path in it is ever resolved by the kernel's ordinary rules.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fstat, mkdirat, openat, openat2,
    unlinkat,
};
use rustix::io::Errno;
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, UnmountFlags, mount_change, move_mount,
};

use super::stage::attach;
use super::{Stage, is_directory, leave_alone_the_kernels, leave_alone_the_kernels_files};
use crate::container::error::{During, refused};
use crate::container::{Propagation, StartError};
use crate::security::Defence;
use crate::sys::{MountAttr, mount_setattr};

/// Mount points are looked up below the root and through nothing that could point elsewhere.
const STRICT: ResolveFlags = ResolveFlags::IN_ROOT
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

fn strict() -> ResolveFlags {
    if Defence::ImageLinks.is_on() {
        STRICT
    } else {
        ResolveFlags::empty()
    }
}

fn not_followed() -> OFlags {
    if Defence::ImageLinks.is_on() {
        OFlags::NOFOLLOW
    } else {
        OFlags::empty()
    }
}

/// Makes a directory that belongs to whom the one above it belongs to: in somebody's home it is theirs, and what else they put there finds room.
/// Where the kernel does not let it be given away, it stays root's.
fn make_directory(above: &OwnedFd, name: &Path) -> Result<(), Errno> {
    mkdirat(above, name, Mode::from_raw_mode(0o755))?;
    let owner = fstat(above)?;
    if (owner.st_uid, owner.st_gid) != (0, 0) {
        let (user, group) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
        let _ = chownat(
            above,
            name,
            Some(user),
            Some(group),
            AtFlags::SYMLINK_NOFOLLOW,
        );
    }
    Ok(())
}

/// A container's root, mounted and not yet entered.
#[derive(Debug)]
pub(crate) struct Root {
    directory: OwnedFd,
}

impl Root {
    /// Attaches a detached mount as the root to be.
    pub(crate) fn attach(stage: &Stage, tree: &OwnedFd) -> Result<Self, StartError> {
        let at = stage.root();
        attach(tree, &at)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, &at, flags, Mode::empty()).during_at("open", &at)?;
        Ok(Self { directory })
    }

    /// The root that this process is in.
    pub(super) fn entered() -> Result<Self, StartError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, "/", flags, Mode::empty()).during("open the root")?;
        Ok(Self { directory })
    }

    /// Opens something in the image as a path, without following any symbolic link.
    pub(super) fn open(&self, path: &Path) -> Result<OwnedFd, Errno> {
        self.open_with(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)
    }

    /// The same for use.
    pub(super) fn open_with(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        openat2(&self.directory, path, flags, Mode::empty(), STRICT)
    }

    /// Opens a file of the image for reading; links on the way are the image's, and lead nowhere but to it.
    pub(super) fn open_following(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.directory, path, flags, Mode::empty(), inside)
    }

    /// Mounts a detached tree as [`Root::mount`] does, save that links of the image on the way are followed, with the root
    /// as theirs; none may lead into the kernel's files.
    pub(super) fn mount_following(&self, tree: &OwnedFd, path: &Path) -> Result<(), StartError> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let names = normal_components(path);
        let mut so_far = PathBuf::new();
        let mut here = self.directory.try_clone().during("duplicate the root")?;
        for (number, name) in (1..).zip(&names) {
            so_far.push(name);
            let open = || openat2(&self.directory, &so_far, flags, Mode::empty(), inside);
            here = match open() {
                Err(Errno::NOENT) => {
                    if number < names.len() || is_directory(tree)? {
                        make_directory(&here, name)
                    } else {
                        let flags =
                            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                        openat(&here, name, flags, Mode::from_raw_mode(0o644)).map(drop)
                    }
                    .map_err(|errno| refused(path, "a mount point", errno))?;
                    open()
                }
                result => result,
            }
            .map_err(|errno| refused(path, "a mount point", errno))?;
        }
        leave_alone_the_kernels_files(&here, path)?;
        self.leave_alone_what_is_below(&here, path)?;
        self.mount_on_opened(tree, &here, path)
    }

    /// The same by the place's own path, as the kernel says it: the file systems of version 1 of control groups are in one that is
    /// not the kernel's own.
    fn leave_alone_what_is_below(&self, place: &OwnedFd, path: &Path) -> Result<(), StartError> {
        let of = |opened: &OwnedFd| {
            let link = format!("/proc/self/fd/{}", opened.as_raw_fd());
            std::fs::read_link(link).during_at("look at the path of", path)
        };
        let (root, real) = (of(&self.directory)?, of(place)?);
        match real.strip_prefix(&root) {
            Ok(inside) => leave_alone_the_kernels(inside).map_err(|_| StartError::MountTarget {
                path: path.to_owned(),
            }),
            // It was moved out of the root, or removed, since it was opened.
            Err(_) => Err(refused(path, "a mount point", Errno::NOENT)),
        }
    }

    /// Opens a directory of the image, making it and its parents where they are missing.
    pub(super) fn directory(&self, path: &Path) -> Result<OwnedFd, StartError> {
        let mut here = self.directory.try_clone().during("duplicate the root")?;
        for name in normal_components(path) {
            match make_directory(&here, &name) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(refused(path, "a directory", errno)),
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | not_followed();
            here = openat2(&here, &name, flags, Mode::empty(), strict())
                .map_err(|errno| refused(path, "a directory", errno))?;
        }
        Ok(here)
    }

    /// Mounts a detached tree on a directory of the image, or a file on a file; either is made where it is missing.
    pub(super) fn mount(&self, tree: &OwnedFd, path: &Path) -> Result<(), StartError> {
        let target = if is_directory(tree)? {
            self.directory(path)?
        } else {
            self.file(path)?
        };
        self.mount_on_opened(tree, &target, path)
    }

    /// Mounts on what was found at a path, which may lead elsewhere by now: whoever else has the directories on the way can
    /// change them (CVE-2021-30465).
    fn mount_on_opened(
        &self,
        tree: &OwnedFd,
        target: &OwnedFd,
        path: &Path,
    ) -> Result<(), StartError> {
        if Defence::OpenedTargets.is_on() {
            return self.mount_on(tree, target, path);
        }
        let names: PathBuf = normal_components(path).iter().collect();
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let again = openat(&self.directory, &names, flags, Mode::empty());
        self.mount_on(tree, &again.during_at("open", path)?, path)
    }

    /// Opens something of the image that is no directory, or makes an empty file.
    fn file(&self, path: &Path) -> Result<OwnedFd, StartError> {
        let refuse = |errno| refused(path, "a file", errno);
        if let Some(parent) = path.parent() {
            self.directory(parent)?;
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        match openat2(&self.directory, path, flags, mode, STRICT) {
            Ok(_) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(refuse(errno)),
        }
        let target = self.open(path).map_err(refuse)?;
        if is_directory(&target)? {
            return Err(refuse(Errno::ISDIR));
        }
        Ok(target)
    }

    /// Refuses writing from now on, save to what is mounted below.
    pub(super) fn seal(&self) -> Result<(), StartError> {
        let attr = MountAttr {
            read_only: true,
            ..MountAttr::default()
        };
        mount_setattr(&self.directory, attr).during("make the root read-only")
    }

    /// Mounts a detached tree on something already opened.
    pub(super) fn mount_on(
        &self,
        tree: &impl AsFd,
        target: &impl AsFd,
        path: &Path,
    ) -> Result<(), StartError> {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(tree, "", target, "", flags).during_at("mount", path)
    }

    /// Writes a regular file into the container's own layer. What stood there is replaced, never written through.
    pub(super) fn write_file(
        &self,
        path: &Path,
        content: &[u8],
        mode: u32,
    ) -> Result<(), StartError> {
        self.make_file(path, mode)?
            .write_all(content)
            .during_at("write", path)
    }

    /// Makes an empty regular file in the container's own layer, in place of what stood there.
    pub(super) fn make_file(&self, path: &Path, mode: u32) -> Result<File, StartError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(refused(path, "a file", Errno::ISDIR));
        };
        let parent = self.directory(parent)?;
        let mut flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | not_followed();
        if Defence::ImageLinks.is_on() {
            match unlinkat(&parent, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(refused(path, "a file", errno)),
            }
            flags |= OFlags::EXCL;
        }
        // The umask must not take bits away from what the specification asks for.
        openat(&parent, name, flags, Mode::from_raw_mode(mode))
            .map(File::from)
            .map_err(|errno| refused(path, "a file", errno))
    }

    /// Makes this the root directory of the mount namespace and lets go of everything outside (pivot_root(2)). Without a
    /// propagation for the root itself, every mount is made private.
    pub(crate) fn enter(self, propagation: Option<Propagation>) -> Result<(), StartError> {
        rustix::process::fchdir(&self.directory).during("enter the root")?;
        rustix::process::pivot_root(".", ".").during("pivot the root")?;
        // The old root is now mounted on top of the new one: "." is it.
        rustix::mount::unmount(".", UnmountFlags::DETACH).during("detach the old root")?;
        rustix::process::chdir("/").during("enter the new root")?;
        let (target, flags) = match propagation {
            // Trees of the machine follow it in the zygote; what it mounts from now on is not for this container.
            None => (
                "all mounts",
                MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
            ),
            Some(Propagation::Private) => ("the root", MountPropagationFlags::PRIVATE),
            Some(Propagation::Shared) => ("the root", MountPropagationFlags::SHARED),
            Some(Propagation::Slave) => ("the root", MountPropagationFlags::DOWNSTREAM),
            Some(Propagation::Unbindable) => ("the root", MountPropagationFlags::UNBINDABLE),
        };
        mount_change("/", flags).during(&format!("set the propagation of {target}"))
    }
}

/// The names on the way to `path`, without what would lead up or sideways.
pub(super) fn normal_components(path: &Path) -> Vec<PathBuf> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(PathBuf::from(name)),
            _ => None,
        })
        .collect()
}
