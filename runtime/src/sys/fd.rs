//! Descriptors across `exec`.

use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use super::clone::last_errno;

/// Closes every descriptor in a range of numbers (`close_range(2)`), right before this process ends or becomes another
/// program. `u32::MAX` as the last is all of them.
///
/// # Errors
/// `ENOSYS` before Linux 5.9.
pub(crate) fn close_range(
    _proof: &super::SingleThreaded,
    numbers: RangeInclusive<u32>,
) -> Result<(), Errno> {
    if numbers.is_empty() {
        return Ok(());
    }
    // SAFETY: the callers are about to exec or to exit: nothing uses the closed numbers afterwards, and with one
    // thread nobody else can be using them either.
    match unsafe { libc::syscall(libc::SYS_close_range, *numbers.start(), *numbers.end(), 0) } {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

/// Takes ownership of a descriptor that a parent process left open for us under a number we agreed on.
///
/// # Errors
/// `EBADF` when it is not open.
pub(crate) fn adopt(raw: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: F_GETFD takes no pointer; a number that is not open makes it fail.
    if unsafe { libc::fcntl(raw, libc::F_GETFD) } < 0 {
        return Err(last_errno());
    }
    // SAFETY: it is open, and the agreement says that nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Leaves a descriptor open under a number agreed on with the program this process is about to execute.
///
/// # Errors
/// Those of dup2(2).
pub(crate) fn pass_on(fd: &OwnedFd, number: RawFd) -> Result<(), Errno> {
    if fd.as_raw_fd() == number {
        return rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty());
    }
    // SAFETY: whatever had the number is closed: before an exec that passes nothing else on, nothing will use it.
    if unsafe { libc::dup2(fd.as_raw_fd(), number) } < 0 {
        return Err(last_errno());
    }
    Ok(())
}
