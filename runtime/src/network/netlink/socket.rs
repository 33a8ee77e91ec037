use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::NETFILTER;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

use super::Batch;
use super::message::{Answer, answers, u32_at};

/// A socket to the kernel, of the network namespace it was opened in.
#[derive(Debug)]
pub(in crate::network) struct Netlink {
    socket: OwnedFd,
    /// A batch that cannot be begun has one answer.
    is_whole: bool,
}

/// Larger than any message of the kernel (netlink(7) advises 8 KiB).
const DATAGRAM: usize = 32 << 10;

impl Netlink {
    /// For links, addresses, routes and rules.
    ///
    /// # Errors
    /// Those of socket(2).
    pub(in crate::network) fn route() -> Result<Self, Errno> {
        // `NETLINK_ROUTE` is 0, which is how none is said.
        Self::open(None, false)
    }

    /// For the packet filter.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` from a kernel without it.
    pub(in crate::network) fn tables() -> Result<Self, Errno> {
        Self::open(Some(NETFILTER), true)
    }

    fn open(protocol: Option<Protocol>, is_whole: bool) -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        Ok(Self { socket, is_whole })
    }

    /// Has the kernel carry out all of a batch.
    ///
    /// # Errors
    /// The first one's that failed; later ones may have been carried out all the same.
    pub(in crate::network) fn carry_out(&self, batch: &Batch) -> Result<(), Errno> {
        self.send(batch)?;
        let mut outcome = Ok(());
        let mut missing = batch.acknowledged();
        let mut buffer = vec![0; DATAGRAM];
        while missing > 0 {
            for answer in answers(self.receive(&mut buffer)?) {
                if let Some(result) = outcome_of(&answer) {
                    missing = missing.saturating_sub(1);
                    outcome = outcome.and(result);
                    // What failed before the batch was taken apart is told once, for its first message.
                    if self.is_whole && result.is_err() && answer.sequence == 1 {
                        return outcome;
                    }
                }
            }
        }
        outcome
    }

    /// Asks for a list, of whose members `each` gets the bodies.
    ///
    /// # Errors
    /// Those of sendto(2) and recvfrom(2), and the kernel's refusal.
    pub(in crate::network) fn dump(
        &self,
        batch: &Batch,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Errno> {
        self.send(batch)?;
        let mut buffer = vec![0; DATAGRAM];
        loop {
            for answer in answers(self.receive(&mut buffer)?) {
                if i32::from(answer.kind) == libc::NLMSG_DONE {
                    return Ok(());
                }
                match outcome_of(&answer) {
                    Some(result) => return result,
                    None => each(answer.body),
                }
            }
        }
    }

    fn send(&self, batch: &Batch) -> Result<(), Errno> {
        send(&self.socket, batch.bytes(), SendFlags::empty()).map(drop)
    }

    fn receive<'a>(&self, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
        loop {
            match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
                Ok((length, _)) => return Ok(&buffer[..length]),
            }
        }
    }
}

/// What a message of `struct nlmsgerr` says; `None` for any other.
fn outcome_of(answer: &Answer<'_>) -> Option<Result<(), Errno>> {
    if i32::from(answer.kind) != libc::NLMSG_ERROR {
        return None;
    }
    let number = u32_at(answer.body, 0)?.cast_signed();
    Some(match number {
        0 => Ok(()),
        number => Err(Errno::from_raw_os_error(-number)),
    })
}
