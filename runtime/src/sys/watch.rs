//! Descriptors in tokio's event loop.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor, which must be non-blocking if it is to be read or written. Needs a tokio runtime with I/O.
///
/// # Errors
/// When it cannot be registered (epoll_ctl(2)).
pub(crate) fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd answers `as_raw_fd` with the same open descriptor for as long as it exists, and AsyncFd owns
    // it until it has deregistered it.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
}
