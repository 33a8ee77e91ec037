//! Descriptors across `exec`.

use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use super::clone::last_errno;

/// Closes every descriptor from 3 up but those in `keep` (`close_range(2)`), whoever owns them: at the start of a program,
/// which owns none yet, or in a process that only uses those from now on.
///
/// # Errors
/// `ENOSYS` before Linux 5.9.
pub(crate) fn close_all_but(
    proof: &super::SingleThreaded,
    keep: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let mut kept: Vec<u32> = keep
        .iter()
        .map(|fd| fd.as_raw_fd().unsigned_abs())
        .collect();
    kept.sort_unstable();
    let mut next = 3;
    for number in kept.into_iter().filter(|number| *number >= 3) {
        if next < number {
            close_range(proof, next..=number - 1)?;
        }
        next = number + 1;
    }
    close_range(proof, next..=u32::MAX)
}

fn close_range(_proof: &super::SingleThreaded, numbers: RangeInclusive<u32>) -> Result<(), Errno> {
    // SAFETY: the call takes no pointer. What it can break is an owner of a closed number that uses or drops it later,
    // when the number may be another file's. The callers see to it: the zygote calls it before it opens anything; what has
    // detached calls it when it owns nothing but the descriptor that it keeps; what is
    // forked from the zygote (a container's init, a worker) never comes back to the values it has inherited, neither uses
    // nor drops them, and ends by `_exit`; a command calls it after its last use of what it owns and before an exec, or,
    // where that fails, an exit that drops nothing. With one thread nobody else is using a descriptor meanwhile.
    match unsafe { libc::syscall(libc::SYS_close_range, *numbers.start(), *numbers.end(), 0) } {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

/// Takes ownership of a descriptor that a parent process left open for us under a number we agreed on. To be called once,
/// at the start of the program, before anything of ours can have that number.
///
/// # Errors
/// `EBADF` when it is not open.
pub(crate) fn adopt(raw: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: F_GETFD takes no pointer; a number that is not open makes it fail.
    if unsafe { libc::fcntl(raw, libc::F_GETFD) } < 0 {
        return Err(last_errno());
    }
    // SAFETY: it is open. That nothing else owns it is the one caller's promise, which this function cannot check: it is
    // the first thing the zygote does, and done once.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Leaves a descriptor open under a number agreed on with the program this process is about to execute. Whatever had that
/// number before loses it, unless it is the descriptor itself.
///
/// # Errors
/// Those of dup2(2).
pub(crate) fn pass_on(fd: &OwnedFd, number: RawFd) -> Result<(), Errno> {
    if fd.as_raw_fd() == number {
        return rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty());
    }
    // SAFETY: the call takes no pointer. An owner of the number is left with ours; the one caller has moved what it still
    // needs away from it, and executes next or, where that fails, exits without dropping the others.
    if unsafe { libc::dup2(fd.as_raw_fd(), number) } < 0 {
        return Err(last_errno());
    }
    Ok(())
}
