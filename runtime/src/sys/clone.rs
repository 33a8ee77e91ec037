//! `clone3(2)`, as a fork into new namespaces.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::process::Pid;

use super::SingleThreaded;

/// The namespaces a child starts in, `CLONE_NEW*` of clone(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CloneFlags(u64);

impl CloneFlags {
    /// A plain fork.
    pub(crate) const NONE: Self = Self(0);
    /// A user namespace.
    pub(crate) const NEWUSER: Self = Self(libc::CLONE_NEWUSER as u64);
    /// A mount namespace.
    pub(crate) const NEWNS: Self = Self(libc::CLONE_NEWNS as u64);
    /// A PID namespace, with the child as its init.
    pub(crate) const NEWPID: Self = Self(libc::CLONE_NEWPID as u64);
    /// A network namespace.
    pub(crate) const NEWNET: Self = Self(libc::CLONE_NEWNET as u64);
    /// A host name of its own.
    pub(crate) const NEWUTS: Self = Self(libc::CLONE_NEWUTS as u64);
    /// System V IPC and POSIX message queues of its own.
    pub(crate) const NEWIPC: Self = Self(libc::CLONE_NEWIPC as u64);
    /// A cgroup namespace rooted at the parent's cgroup.
    pub(crate) const NEWCGROUP: Self = Self(0x0200_0000);

    /// The child is its parent's sibling: whoever waits for the one waits for the other. Not for the init of a PID namespace.
    pub(crate) const PARENT: Self = Self(libc::CLONE_PARENT as u64);

    /// Both.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These if the condition holds.
    pub(crate) const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// On which side of the clone we are.
#[derive(Debug)]
pub(crate) enum Cloned {
    /// In the new process.
    Child,
    /// In the old one.
    Parent {
        /// The child's id in our PID namespace.
        pid: Pid,
        /// Refers to the child whatever becomes of its id; close-on-exec.
        pidfd: OwnedFd,
    },
}

/// Forks into the given namespaces; the parent gets SIGCHLD when the child ends.
///
/// # Errors
/// The errors of clone(2): `EPERM` or `ENOSPC` where namespaces are forbidden or exhausted, `EAGAIN` at a limit of
/// processes.
pub(crate) fn clone3(proof: &SingleThreaded, flags: CloneFlags) -> Result<Cloned, Errno> {
    clone3_into(proof, flags, None)
}

/// The same, with the child in a control group of version 2 from its first instruction on.
///
/// # Errors
/// Also `EACCES` where that group, or the nearest one above both it and ours, does not take processes from us, and
/// `EBUSY` where it is divided.
pub(crate) fn clone3_into(
    _proof: &SingleThreaded,
    flags: CloneFlags,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Cloned, Errno> {
    /// `CLONE_INTO_CGROUP`, which libc has as an `int` that cannot hold it.
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain data; all zeroes is a valid value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags.0 | libc::CLONE_PIDFD as u64;
    // With CLONE_PARENT it is the caller's own, and must not be given.
    if !flags.has(CloneFlags::PARENT) {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    args.pidfd = (&raw mut pidfd) as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= INTO_CGROUP;
        args.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    }
    // SAFETY: without CLONE_VM and without a stack the child is a copy-on-write copy of this process, as after
    // fork(2). SingleThreaded proves that no other thread could hold a lock (malloc's, stdio's) across the call, so
    // the child may run any code. The kernel writes one descriptor to `pidfd`, which outlives the call.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const args,
            size_of::<libc::clone_args>(),
        )
    };
    match pid {
        0 => Ok(Cloned::Child),
        1.. => {
            let raw = i32::try_from(pid).map_err(|_| Errno::OVERFLOW)?;
            Ok(Cloned::Parent {
                pid: Pid::from_raw(raw).ok_or(Errno::INVAL)?,
                // SAFETY: with CLONE_PIDFD the kernel has put a new descriptor, owned by nobody else, into `pidfd`.
                pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
            })
        }
        _ => Err(last_errno()),
    }
}

/// The calling thread's errno, after a raw call that returned -1.
pub(super) fn last_errno() -> Errno {
    Errno::from_raw_os_error(
        std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO),
    )
}
