//! Echo requests, where the machine lets its users send them: by datagram sockets of ICMP (icmp(7), ping_group_range), or by raw
//! ones, as root.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send,
    socket_with,
};
use tokio::io::Interest;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::packet::{self, Seen, Unreachable};
use super::tap::{Tap, refuse};
use crate::network::member::Member;
use crate::network::report::Protocol;
use crate::sys::watch;

/// Most echoes of a pod that are waited for.
const ECHOES: usize = 64;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);
const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// The echoes of a pod.
#[derive(Debug)]
pub(super) struct Echoes {
    tap: Arc<Tap>,
    room: Arc<Semaphore>,
}

impl Echoes {
    pub(super) fn new(tap: &Arc<Tap>) -> Self {
        Self {
            tap: Arc::clone(tap),
            room: Arc::new(Semaphore::new(ECHOES)),
        }
    }

    /// Takes a request.
    pub(super) fn request(echoes: &Arc<Self>, member: Arc<Member>, packet: &[u8]) {
        // Without room it is lost, as packets may be.
        if let Ok(permit) = Arc::clone(&echoes.room).try_acquire_owned() {
            let (echoes, packet) = (Arc::clone(echoes), packet.to_vec());
            tokio::spawn(async move {
                echoes.carry(&member, &packet).await;
                drop(permit);
            });
        }
    }

    async fn carry(&self, member: &Member, packet: &[u8]) {
        let Some(Seen::Echo {
            from,
            to,
            identifier,
            sequence,
            content,
        }) = packet::read(packet)
        else {
            return;
        };
        if member
            .may_reach(Protocol::Icmp, SocketAddr::new(to, 0))
            .is_err()
        {
            return refuse(&self.tap, member, packet, Unreachable::Prohibited);
        }
        match timeout(PATIENCE, ask(to, identifier, sequence, content)).await {
            Ok(Ok(())) => {
                let reply = packet::echo_reply(to, from, identifier, sequence, content);
                self.tap.answer(&reply, member.hardware());
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                refuse(&self.tap, member, packet, Unreachable::Prohibited);
            }
            Ok(Err(_)) => refuse(&self.tap, member, packet, Unreachable::Host),
            // Nobody has answered.
            Err(_) => {}
        }
    }
}

/// Asks somebody for an echo, and waits for it.
async fn ask(to: IpAddr, identifier: u16, sequence: u16, content: &[u8]) -> io::Result<()> {
    let (socket, is_raw) = open(to)?;
    connect(&socket, &SocketAddr::new(to, 0))?;
    let (request, reply) = match to {
        IpAddr::V4(_) => (8, 0),
        IpAddr::V6(_) => (128, 129),
    };
    let mut message = vec![request, 0, 0, 0];
    message.extend(identifier.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(content);
    if to.is_ipv4() {
        packet::sum_of_echo(&mut message);
    }
    send(&socket, &message, SendFlags::NOSIGNAL)?;
    let socket = watch(socket, Interest::READABLE)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let mut ready = socket.readable().await?;
        let received = ready.try_io(|socket| {
            let (length, _) = recv(socket, buffer.as_mut_slice(), RecvFlags::empty())?;
            Ok(length)
        });
        let Ok(length) = received else { continue };
        let mut answer = &buffer[..length?];
        if is_raw && to.is_ipv4() {
            // A raw socket of IPv4 has the header too (raw(7)).
            let header = usize::from(answer.first().unwrap_or(&0) & 0xf) * 4;
            answer = answer.get(header..).unwrap_or_default();
        }
        // A datagram socket has an identifier of its own.
        let is_ours = |answer: &[u8]| !is_raw || answer[4..6] == identifier.to_be_bytes();
        if answer.len() >= 8
            && answer[0] == reply
            && answer[6..8] == sequence.to_be_bytes()
            && is_ours(answer)
        {
            return Ok(());
        }
    }
}

/// A socket for echoes, and whether it is a raw one.
fn open(to: IpAddr) -> Result<(OwnedFd, bool), Errno> {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    match socket_with(family, SocketType::DGRAM, FLAGS, Some(protocol)) {
        Ok(socket) => Ok((socket, false)),
        Err(Errno::ACCESS | Errno::PERM) => {
            socket_with(family, SocketType::RAW, FLAGS, Some(protocol)).map(|socket| (socket, true))
        }
        Err(errno) => Err(errno),
    }
}
