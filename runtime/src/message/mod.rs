//! Messages between processes of ours: JSON with descriptors, one a packet, on a SEQPACKET socket.
//!
//! [`send`] and [`receive`] are for a process of one thread, [`Connection`] is the same on a tokio runtime, and
//! [`Listener`] waits for other processes of the same user at a name in a directory. Nothing here knows what is said.

mod connection;
mod file;
mod listener;

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use connection::Connection;
pub use file::hand_over;
pub use listener::{Listener, connect};

/// Bound of a message; what can be larger (a container's specification) travels in a memory file.
const MAX_MESSAGE: usize = 64 << 10;
/// Bound of the descriptors with it.
const MAX_FDS: usize = 8;
/// How often a message is sent again while too many descriptors of this user are on their way, a millisecond apart.
const ATTEMPTS: u32 = 200;

/// Sends a message whole, or not at all.
///
/// # Errors
/// Those of sendmsg(2); `EMSGSIZE` for a message that is too long.
pub fn send(socket: impl AsFd, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > MAX_MESSAGE {
        return Err(Errno::MSGSIZE.into());
    }
    send_bytes(socket, &bytes, fds)
}

/// Sends what is said already.
pub(crate) fn send_bytes(
    socket: impl AsFd,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL.into());
    }
    let mut attempts = 0;
    loop {
        match sendmsg(
            &socket,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            // All processes of a user together have at most `RLIMIT_NOFILE` of them in sockets that nobody has read yet, which
            // other agents do at once (unix(7)).
            Err(Errno::TOOMANYREFS) if attempts < ATTEMPTS => {
                attempts += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Receives a message and its descriptors; `None` when the other end is gone.
///
/// # Errors
/// Those of recvmsg(2); a message that is not of this type.
pub fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    match receive_bytes(socket)? {
        None => Ok(None),
        Some((bytes, fds)) => Ok(Some((serde_json::from_slice(&bytes)?, fds))),
    }
}

/// Receives what may be no message of ours.
///
/// # Errors
/// Those of recvmsg(2); a message, or more descriptors, than one of ours may have; `EMFILE` where this process may not have them.
pub(crate) fn receive_bytes(socket: impl AsFd) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        let flags = RecvFlags::CMSG_CLOEXEC;
        match recvmsg(
            &socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            flags,
        ) {
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Ok(None),
            result => break result?,
        }
    };
    if message.bytes == 0 {
        return Ok(None);
    }
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            fds.extend(rights);
        }
    }
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(Errno::MSGSIZE.into());
    }
    // There was room for more of them, but not in this process (`RLIMIT_NOFILE`).
    if message.flags.contains(ReturnFlags::CTRUNC) {
        let is_full = fds.len() < MAX_FDS;
        return Err(if is_full {
            Errno::MFILE
        } else {
            Errno::MSGSIZE
        }
        .into());
    }
    bytes.truncate(message.bytes);
    Ok(Some((bytes, fds)))
}
