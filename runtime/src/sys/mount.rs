//! `mount_setattr(2)`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::clone::last_errno;

/// Attributes to set on a mount.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MountAttr<'a> {
    /// Nothing can be written through it.
    pub(crate) read_only: bool,
    /// Set-user-id bits and file capabilities have no effect.
    pub(crate) no_suid: bool,
    /// Device nodes cannot be opened.
    pub(crate) no_dev: bool,
    /// Nothing can be executed.
    pub(crate) no_exec: bool,
    /// Ids on disk are read through this user namespace (`MOUNT_ATTR_IDMAP`).
    pub(crate) id_map: Option<BorrowedFd<'a>>,
    /// Nothing that is mounted on the tree it was copied from appears in it, nor the other way round.
    pub(crate) private: bool,
    /// The same for every mount below it.
    pub(crate) recursive: bool,
}

/// Changes a mount that `fd` refers to, attached or not.
///
/// # Errors
/// `EINVAL` where the file system cannot be id-mapped, `EPERM` without CAP_SYS_ADMIN over the mount.
pub(crate) fn mount_setattr(fd: impl AsFd, attr: MountAttr<'_>) -> Result<(), Errno> {
    let mut set = 0;
    for (wanted, bit) in [
        (attr.read_only, libc::MOUNT_ATTR_RDONLY),
        (attr.no_suid, libc::MOUNT_ATTR_NOSUID),
        (attr.no_dev, libc::MOUNT_ATTR_NODEV),
        (attr.no_exec, libc::MOUNT_ATTR_NOEXEC),
        (attr.id_map.is_some(), libc::MOUNT_ATTR_IDMAP),
    ] {
        if wanted {
            set |= bit;
        }
    }
    let args = libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        propagation: if attr.private { libc::MS_PRIVATE } else { 0 },
        userns_fd: attr
            .id_map
            .map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs())),
    };
    let mut flags = libc::AT_EMPTY_PATH;
    if attr.recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: the path is a NUL-terminated constant, `args` is a valid mount_attr of the size given, and both outlive
    // the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const args,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}
