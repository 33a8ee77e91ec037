//! Packet sockets (packet(7)) and their filters (`linux/filter.h`).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::clone::last_errno;

/// One instruction of a classic packet filter.
pub(crate) type Instruction = libc::sock_filter;

/// Where a packet was seen, or is to be sent: `struct sockaddr_ll` as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PacketAddress {
    /// The interface's number.
    pub(crate) index: u32,
    /// `ETH_P_*`.
    pub(crate) protocol: u16,
    /// Of whoever sent it, or shall have it.
    pub(crate) hardware: [u8; 6],
}

/// A non-blocking socket that gets every packet of an interface that a filter lets through, from the network header on.
///
/// # Errors
/// `EPERM` without CAP_NET_RAW over the network namespace.
pub(crate) fn open_tap(index: u32, filter: &[Instruction]) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // Of no protocol, so that nothing comes in before the filter is there.
    let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, None)?;
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| Errno::INVAL)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads `len` instructions, which outlive the call, and writes none.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            length_of(&program),
        )
    };
    check(result)?;
    let address = encode(PacketAddress {
        index,
        protocol: u16::try_from(libc::ETH_P_ALL).map_err(|_| Errno::INVAL)?,
        hardware: [0; 6],
    })?;
    // SAFETY: the kernel reads a sockaddr_ll of that length, which outlives the call.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            length_of(&address),
        )
    };
    check(result)?;
    Ok(socket)
}

/// The next packet: how many bytes of it were written to `buffer`, and where it was seen.
///
/// # Errors
/// `EAGAIN` when there is none.
pub(crate) fn receive_packet(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> Result<(usize, PacketAddress), Errno> {
    // SAFETY: sockaddr_ll is plain data; all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    let mut length = length_of(&address);
    // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer` and `length` bytes to `address`, both ours.
    let received = unsafe {
        libc::recvfrom(
            socket.as_fd().as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            0,
            (&raw mut address).cast(),
            &raw mut length,
        )
    };
    let received = usize::try_from(received).map_err(|_| last_errno())?;
    let mut hardware = [0; 6];
    hardware.copy_from_slice(&address.sll_addr[..6]);
    let address = PacketAddress {
        index: address.sll_ifindex.unsigned_abs(),
        protocol: u16::from_be(address.sll_protocol),
        hardware,
    };
    Ok((received, address))
}

/// Sends a packet, from its network header on.
///
/// # Errors
/// Those of sendto(2); `EAGAIN` when the interface is full.
pub(crate) fn send_packet(
    socket: impl AsFd,
    packet: &[u8],
    to: PacketAddress,
) -> Result<(), Errno> {
    let address = encode(to)?;
    // SAFETY: the kernel reads `packet.len()` bytes of `packet` and a sockaddr_ll, both of which outlive the call.
    let sent = unsafe {
        libc::sendto(
            socket.as_fd().as_raw_fd(),
            packet.as_ptr().cast(),
            packet.len(),
            libc::MSG_NOSIGNAL,
            (&raw const address).cast(),
            length_of(&address),
        )
    };
    if sent < 0 { Err(last_errno()) } else { Ok(()) }
}

fn encode(from: PacketAddress) -> Result<libc::sockaddr_ll, Errno> {
    // SAFETY: sockaddr_ll is plain data; all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).map_err(|_| Errno::INVAL)?;
    address.sll_protocol = from.protocol.to_be();
    address.sll_ifindex = i32::try_from(from.index).map_err(|_| Errno::INVAL)?;
    address.sll_halen = 6;
    address.sll_addr[..6].copy_from_slice(&from.hardware);
    Ok(address)
}

fn length_of<T>(_: &T) -> libc::socklen_t {
    // Of a structure of the kernel's: a few bytes.
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

fn check(result: libc::c_int) -> Result<(), Errno> {
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}
