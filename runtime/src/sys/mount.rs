//! `mount_setattr(2)`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::clone::last_errno;

/// What happens of what is mounted on one copy of a mount to the others (mount_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// It appears on all of them.
    Shared,
    /// It comes from the one it was copied from, and does not go there.
    Slave,
    /// Neither.
    Private,
    /// Neither, and it cannot be copied.
    Unbindable,
}

/// When reading a file is noted in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccessTime {
    /// When that was not noted since it was changed.
    Relative,
    /// Never.
    Never,
    /// Always.
    Strict,
}

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
    /// When reading is noted; as it is where this is missing.
    pub(crate) access_time: Option<AccessTime>,
    /// Reading a directory is not noted in it.
    pub(crate) no_dir_access_time: bool,
    /// Symbolic links are not followed.
    pub(crate) no_symlinks: bool,
    /// What becomes of mounts on it; as it is where this is missing.
    pub(crate) spread: Option<Spread>,
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
        (attr.no_dir_access_time, libc::MOUNT_ATTR_NODIRATIME),
        (attr.no_symlinks, libc::MOUNT_ATTR_NOSYMFOLLOW),
    ] {
        if wanted {
            set |= bit;
        }
    }
    let mut clear = 0;
    if let Some(access_time) = attr.access_time {
        clear = libc::MOUNT_ATTR__ATIME;
        set |= match access_time {
            AccessTime::Relative => libc::MOUNT_ATTR_RELATIME,
            AccessTime::Never => libc::MOUNT_ATTR_NOATIME,
            AccessTime::Strict => libc::MOUNT_ATTR_STRICTATIME,
        };
    }
    let args = libc::mount_attr {
        attr_set: set,
        attr_clr: clear,
        propagation: attr.spread.map_or(0, |spread| match spread {
            Spread::Shared => libc::MS_SHARED,
            Spread::Slave => libc::MS_SLAVE,
            Spread::Private => libc::MS_PRIVATE,
            Spread::Unbindable => libc::MS_UNBINDABLE,
        }),
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
