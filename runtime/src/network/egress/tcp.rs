use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::packet::{self, Unreachable};
use super::relay::{LAST_WORDS, relay, reset};
use super::tap::{Tap, refuse};
use crate::network::member::{Member, OpenCall};
use crate::network::report::Protocol;
use crate::network::room;

/// How long whom a container calls may take to answer. Its own kernel gives up after about as long (tcp_syn_retries).
const CONNECT: Duration = Duration::from_secs(130);
/// How long a container may take to come again when it has been let in.
const COME: Duration = Duration::from_secs(30);
/// Before the next attempt to accept when there are no descriptors.
const PAUSE: Duration = Duration::from_millis(20);

/// Who calls whom.
type Key = (SocketAddr, SocketAddr);

/// The TCP connections of a pod, each a task from its first packet to its end.
#[derive(Debug)]
pub(super) struct Connections {
    tap: Arc<Tap>,
    /// Those that are not established yet.
    pending: Mutex<HashMap<Key, (Number, Pending)>>,
    numbers: AtomicU64,
}

/// Which of the calls with the same key: a container may call again from the same port as soon as it has hung up.
type Number = u64;

#[derive(Debug)]
enum Pending {
    /// Whom it calls has not answered.
    Connecting,
    /// It may come in; whoever accepts it hands it over here.
    LetIn(oneshot::Sender<TcpStream>),
    /// It has come in. Its first packet may still come again, and is no other call.
    Accepted,
}

impl Connections {
    pub(super) fn new(tap: &Arc<Tap>) -> Self {
        Self {
            tap: Arc::clone(tap),
            pending: Mutex::default(),
            numbers: AtomicU64::new(0),
        }
    }

    /// Takes a first packet, or the same once more.
    pub(super) fn first(
        connections: &Arc<Self>,
        member: Arc<Member>,
        key: Key,
        next: u32,
        packet: &[u8],
    ) {
        match connections.pending().entry(key) {
            Entry::Occupied(entry) => {
                if let (_, Pending::LetIn(_)) = entry.get() {
                    connections.tap.let_in(packet);
                }
            }
            Entry::Vacant(entry) => {
                // Without room it is as if the packet was lost: it comes again.
                let Some(place) = member.share().take() else {
                    return;
                };
                let number = connections.numbers.fetch_add(1, Ordering::Relaxed);
                entry.insert((number, Pending::Connecting));
                let call = Call {
                    connections: Arc::clone(connections),
                    key,
                    number,
                    _open: member.call(),
                    _place: place,
                };
                tokio::spawn(call.carry(member, next, packet.to_vec()));
            }
        }
    }

    /// Accepts what has been let in.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let accepted = listener.accept().await;
            let Ok((stream, from)) = accepted else {
                // There are too many descriptors, and nothing to be done but to wait until there are fewer.
                sleep(PAUSE).await;
                continue;
            };
            let let_in = stream.local_addr().ok().and_then(|to| {
                let mut pending = self.pending();
                let (_, state) = pending.get_mut(&(from, to))?;
                match std::mem::replace(state, Pending::Accepted) {
                    Pending::LetIn(waiting) => Some(waiting),
                    other => {
                        *state = other;
                        None
                    }
                }
            });
            match let_in {
                // Whoever waits for it may have given up.
                Some(waiting) => drop(waiting.send(stream)),
                None => reset(stream),
            }
        }
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<Key, (Number, Pending)>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is being made.
struct Call {
    connections: Arc<Connections>,
    key: Key,
    number: Number,
    _open: OpenCall,
    _place: room::Place,
}

impl Call {
    async fn carry(self, member: Arc<Member>, next: u32, packet: Vec<u8>) {
        let (from, to) = self.key;
        let tap = &self.connections.tap;
        if member.may_reach(Protocol::Tcp, to).is_err() {
            refuse(tap, &member, &packet, Unreachable::Prohibited);
            return;
        }
        let connected = tokio::select! {
            connected = timeout(CONNECT, TcpStream::connect(to)) => connected,
            // Nobody waits for it any more.
            () = member.ended() => return,
        };
        let outer = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                match denial(&error) {
                    Denial::Reset => {
                        tap.answer(&packet::reset(from, to, next), member.hardware());
                    }
                    Denial::Unreachable(why) => refuse(tap, &member, &packet, why),
                    Denial::Silence => {
                        tracing::debug!(%error, "a container's connection cannot be carried");
                    }
                }
                return;
            }
            // It has heard nothing either.
            Err(_) => return,
        };
        // The route was another one a moment ago.
        if outer.local_addr().is_ok_and(|own| own.ip() == to.ip()) {
            refuse(tap, &member, &packet, Unreachable::Prohibited);
            reset(outer);
            return;
        }
        let (waiting, inner) = oneshot::channel();
        self.connections
            .pending()
            .insert(self.key, (self.number, Pending::LetIn(waiting)));
        tap.let_in(&packet);
        drop(packet);
        // One that is over may have come in, and said something, just before.
        let gone = async {
            member.ended().await;
            sleep(LAST_WORDS).await;
        };
        let come = tokio::select! {
            biased;
            come = timeout(COME, inner) => come.ok().and_then(Result::ok),
            () = gone => None,
        };
        match come {
            // A container that is over has no connections, whatever the other side thinks of them.
            Some(inner) => relay(inner, outer, member.ended()).await,
            None => reset(outer),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // When it was accepted it is not there any more, and what is there then is another call.
        let mut pending = self.connections.pending();
        if let Entry::Occupied(entry) = pending.entry(self.key)
            && entry.get().0 == self.number
        {
            entry.remove();
        }
    }
}

/// What a container is told of a call that failed.
enum Denial {
    Reset,
    Unreachable(Unreachable),
    /// It is our own fault; the container tries again.
    Silence,
}

fn denial(error: &io::Error) -> Denial {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused | Kind::ConnectionReset => Denial::Reset,
        Kind::HostUnreachable | Kind::TimedOut => Denial::Unreachable(Unreachable::Host),
        Kind::NetworkUnreachable | Kind::AddrNotAvailable | Kind::Unsupported => {
            Denial::Unreachable(Unreachable::Network)
        }
        Kind::PermissionDenied => Denial::Unreachable(Unreachable::Prohibited),
        _ => match error.raw_os_error() {
            Some(libc::EAFNOSUPPORT) => Denial::Unreachable(Unreachable::Network),
            _ => Denial::Silence,
        },
    }
}
