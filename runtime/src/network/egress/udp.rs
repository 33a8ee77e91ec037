//! Datagrams. A flow is what passes between one port of a container and one of somebody else: a socket of the machine to the one,
//! and to the other a socket in the pod that bears the other's address. The first datagram of a flow comes to the pod's UDP
//! socket, all others to the flow's own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use rustix::net::{RecvFlags, SendFlags, recv};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use super::packet::{self, Unreachable};
use super::tap::{Tap, refuse};
use crate::network::member::{Member, Members};
use crate::network::pod::{Keeper, SocketKind};
use crate::network::report::Protocol;
use crate::network::room;
use crate::sys::watch;

/// A flow without a datagram for so long is over (RFC 4787, 4.3: not below two minutes).
const IDLE: Duration = Duration::from_secs(120);
/// Before the next attempt to read after one that has failed.
const PAUSE: Duration = Duration::from_millis(100);
/// No datagram is longer.
const DATAGRAM: usize = 64 << 10;

thread_local! {
    /// A thread's own: what is in it is over before anything else runs.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; DATAGRAM]);
}

/// Who speaks to whom.
type Key = (SocketAddr, SocketAddr);

/// The flows of a pod.
#[derive(Debug)]
pub(super) struct Flows {
    tap: Arc<Tap>,
    members: Arc<Members>,
    keeper: Keeper,
    table: Mutex<HashMap<Key, Entry>>,
}

/// A flow that goes on, and in whose name.
#[derive(Debug)]
struct Entry {
    outer: Arc<UdpSocket>,
    member: Arc<Member>,
}

/// A pod's UDP socket of one family.
#[derive(Debug)]
pub(super) struct Receiver(AsyncFd<OwnedFd>);

impl Receiver {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        watch(socket, Interest::READABLE).map(Self)
    }

    /// Waits for datagrams, and hands over those that are there.
    async fn receive(&self, mut each: impl FnMut(Key, &[u8])) -> io::Result<()> {
        let mut ready = self.0.readable().await?;
        let received = ready.try_io(|socket| {
            BUFFER.with_borrow_mut(|buffer| {
                let (key, length) = receive(socket.get_ref(), buffer)?;
                if let Some(key) = key {
                    each(key, &buffer[..length]);
                }
                Ok(())
            })
        });
        received.unwrap_or(Ok(()))
    }
}

/// A datagram: from whom, and to whom it was.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<(Option<Key>, usize)> {
    let mut control = nix::cmsg_space!(libc::sockaddr_in6);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::empty();
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let from = message.address.as_ref().and_then(socket_address);
    let to = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::Ipv4OrigDstAddr(to) => {
            let address = Ipv4Addr::from(u32::from_be(to.sin_addr.s_addr));
            Some(SocketAddrV4::new(address, u16::from_be(to.sin_port)).into())
        }
        ControlMessageOwned::Ipv6OrigDstAddr(to) => {
            let address = Ipv6Addr::from(to.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(address, u16::from_be(to.sin6_port), 0, 0).into())
        }
        _ => None,
    });
    Ok((from.zip(to), message.bytes))
}

fn socket_address(from: &SockaddrStorage) -> Option<SocketAddr> {
    match (from.as_sockaddr_in(), from.as_sockaddr_in6()) {
        (Some(v4), _) => Some(SocketAddr::V4((*v4).into())),
        (None, Some(v6)) => Some(SocketAddr::V6((*v6).into())),
        (None, None) => None,
    }
}

impl Flows {
    pub(super) fn new(tap: &Arc<Tap>, members: &Arc<Members>, keeper: &Keeper) -> Self {
        Self {
            tap: Arc::clone(tap),
            members: Arc::clone(members),
            keeper: keeper.clone(),
            table: Mutex::default(),
        }
    }

    /// Takes first datagrams.
    pub(super) async fn receive(self: Arc<Self>, receiver: Receiver) {
        loop {
            tokio::task::coop::consume_budget().await;
            let received = receiver.receive(|key, content| self.first(key, content));
            if let Err(error) = received.await {
                tracing::warn!(%error, "datagrams of a private network cannot be read");
                sleep_until(Instant::now() + PAUSE).await;
            }
        }
    }

    fn first(self: &Arc<Self>, key: Key, content: &[u8]) {
        let (from, to) = key;
        let Some(member) = self.members.at(from.ip()) else {
            return;
        };
        let table = self.table();
        let outer = match table.get(&key) {
            Some(entry) if Arc::ptr_eq(&entry.member, &member) => Arc::clone(&entry.outer),
            // Also where another container had the address.
            _ => {
                // Asks the kernel and tells others: without the table.
                drop(table);
                if member.may_reach(Protocol::Udp, to).is_err() {
                    self.refuse(&member, key, Unreachable::Prohibited);
                    return;
                }
                // Without room they are lost, as datagrams may be.
                let Some(place) = member.share().take() else {
                    return;
                };
                match open(to) {
                    Ok(outer) => {
                        let outer = Arc::new(outer);
                        let entry = Entry {
                            outer: Arc::clone(&outer),
                            member: Arc::clone(&member),
                        };
                        self.table().insert(key, entry);
                        let flow = Flow {
                            flows: Arc::clone(self),
                            key,
                            outer: Arc::clone(&outer),
                            _place: place,
                        };
                        tokio::spawn(flow.carry(member));
                        outer
                    }
                    Err(error) if error.kind() == io::ErrorKind::NetworkUnreachable => {
                        self.refuse(&member, key, Unreachable::Network);
                        return;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a container's datagrams cannot be carried");
                        return;
                    }
                }
            }
        };
        post(&outer, content);
    }

    fn refuse(&self, member: &Member, (from, to): Key, why: Unreachable) {
        refuse(&self.tap, member, &packet::datagram(from, to), why);
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket of the machine that speaks to one address only.
fn open(to: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(to)?;
    socket.set_nonblocking(true)?;
    let socket = UdpSocket::from_std(socket)?;
    Ok(socket)
}

struct Flow {
    flows: Arc<Flows>,
    key: Key,
    outer: Arc<UdpSocket>,
    _place: room::Place,
}

impl Flow {
    async fn carry(self, member: Arc<Member>) {
        let inner = match self.inner().await {
            Ok(inner) => inner,
            Err(error) => {
                tracing::debug!(%error, "a container's datagrams cannot be answered");
                return;
            }
        };
        let mut end = Instant::now() + IDLE;
        loop {
            let moved = tokio::select! {
                passed = pass(&self.outer, &inner) => match passed {
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        self.flows.refuse(&member, self.key, Unreachable::Port);
                        true
                    }
                    result => result.unwrap_or(false),
                },
                // What the container does not take, and what the world does not, is lost.
                passed = pass(&inner, &self.outer) => passed.unwrap_or(false),
                () = member.ended() => return,
                () = sleep_until(end) => return,
            };
            if moved {
                end = Instant::now() + IDLE;
            }
        }
    }

    /// The socket in the pod that bears the other's address.
    async fn inner(&self) -> io::Result<UdpSocket> {
        let (from, to) = self.key;
        let socket = self.flows.keeper.socket(SocketKind::udp(to.ip())).await?;
        rustix::net::bind(&socket, &to)?;
        rustix::net::connect(&socket, &from)?;
        UdpSocket::from_std(socket.into())
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let mut table = self.flows.table();
        let is_ours = |entry: &Entry| Arc::ptr_eq(&entry.outer, &self.outer);
        if table.get(&self.key).is_some_and(is_ours) {
            table.remove(&self.key);
        }
    }
}

/// Sends a datagram. It may be lost, as datagrams may be; but not because tokio has not seen yet that a new socket takes some.
fn post(to: &UdpSocket, content: &[u8]) {
    let _ = rustix::net::send(to, content, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}

/// Waits for a datagram, or for the news that nothing listens where one was sent, and passes it on; whether there was one.
async fn pass(from: &UdpSocket, to: &UdpSocket) -> io::Result<bool> {
    let ready = from.ready(Interest::READABLE.add(Interest::ERROR)).await?;
    // One at a time: of several kinds at once tokio does not see whether one is there.
    let kind = if ready.is_error() {
        Interest::ERROR
    } else {
        Interest::READABLE
    };
    BUFFER.with_borrow_mut(|buffer| {
        let received = from.try_io(kind, || {
            let (length, _) = recv(from, buffer.as_mut_slice(), RecvFlags::DONTWAIT)?;
            Ok(length)
        });
        match received {
            Ok(length) => {
                post(to, &buffer[..length]);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    })
}
