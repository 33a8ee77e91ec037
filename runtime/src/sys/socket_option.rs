//! Options of sockets that are a number (ip(7), ipv6(7)), where neither rustix nor nix has them.

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

use super::clone::last_errno;

/// An option, by its level and its name there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketOption(libc::c_int, libc::c_int);

impl SocketOption {
    /// The socket takes and sends what is for, or from, any address.
    pub(crate) const TRANSPARENT: Self = Self(libc::SOL_IP, libc::IP_TRANSPARENT);
    /// The same with the other family.
    pub(crate) const TRANSPARENT6: Self = Self(libc::SOL_IPV6, libc::IPV6_TRANSPARENT);
    /// Every datagram comes with the address it was for.
    pub(crate) const ORIGINAL: Self = Self(libc::SOL_IP, libc::IP_RECVORIGDSTADDR);
    /// The same with the other family.
    pub(crate) const ORIGINAL6: Self = Self(libc::SOL_IPV6, libc::IPV6_RECVORIGDSTADDR);
}

/// Switches an option on.
///
/// # Errors
/// Those of setsockopt(2).
pub(crate) fn switch_on(socket: impl AsFd, option: SocketOption) -> Result<(), Errno> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).map_err(|_| Errno::INVAL)?;
    // SAFETY: the kernel reads an int, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            option.0,
            option.1,
            (&raw const on).cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}
