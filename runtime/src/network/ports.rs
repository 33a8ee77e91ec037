//! Ports of the machine that lead to containers of a pod: a plain proxy, that listens as any program of the agent's user does.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::egress::relay::{relay, reset};
use super::pod::Dialer;
use super::room::Share;

/// A port of the machine and what it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Of the machine; port 0 for any.
    pub host: SocketAddr,
    /// Of the container.
    pub container: SocketAddr,
    /// Datagrams instead of connections.
    pub udp: bool,
}

/// Why a port cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Somebody has it.
    #[error("port {} of {} is in use{}", .address.port(), .address.ip(), by(.holder.as_deref()))]
    Taken {
        /// Of the machine.
        address: SocketAddr,
        /// Program and process id of who has it, where that can be seen.
        holder: Option<String>,
    },
    /// The machine does not let its users have it.
    #[error("port {} needs a privilege: net.ipv4.ip_unprivileged_port_start says from which one on ports are free", .address.port())]
    Privileged {
        /// Of the machine.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("listen at {address}")]
    Io {
        /// Of the machine.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

fn by(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |holder| format!(" by {holder}"))
}

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// Before the next attempt to accept when there are no descriptors.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a container may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(30);

/// Leads a port of the machine to a container, for as long as the set lives; answers where it is. The unspecified address of
/// IPv6 stands for all of the machine's.
///
/// # Errors
/// See [`PublishError`].
pub fn publish(
    tasks: &mut JoinSet<()>,
    dialer: &Dialer,
    port: Published,
) -> Result<SocketAddr, PublishError> {
    match open(tasks, dialer, port) {
        // Where the kernel has no IPv6, all addresses are those of IPv4.
        Err(PublishError::Io { source, .. })
            if port.host.ip() == Ipv6Addr::UNSPECIFIED
                && source.raw_os_error() == Some(libc::EAFNOSUPPORT) =>
        {
            let host = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port.host.port());
            open(tasks, dialer, Published { host, ..port })
        }
        result => result,
    }
}

fn open(
    tasks: &mut JoinSet<()>,
    dialer: &Dialer,
    port: Published,
) -> Result<SocketAddr, PublishError> {
    let failed = |error| explain(error, port);
    if port.udp {
        let socket = std::net::UdpSocket::bind(port.host).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let socket = UdpSocket::from_std(socket).map_err(failed)?;
        let bound = socket.local_addr().map_err(failed)?;
        tasks.spawn(datagrams(socket, dialer.clone(), port.container));
        return Ok(bound);
    }
    let socket = match port.host {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.map_err(failed)?;
    // Else a port would stay taken for a minute after the last connection to it.
    socket.set_reuseaddr(true).map_err(failed)?;
    socket.bind(port.host).map_err(failed)?;
    let listener = socket.listen(BACKLOG).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tasks.spawn(connections(listener, dialer.clone(), port.container));
    Ok(bound)
}

async fn connections(listener: TcpListener, dialer: Dialer, to: SocketAddr) {
    let mut relays = JoinSet::new();
    let share = Share::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = relays.join_next() => continue,
        };
        let Ok((outer, _)) = accepted else {
            // There are too many descriptors, and nothing to be done but to wait until there are fewer.
            sleep(PAUSE).await;
            continue;
        };
        // Whoever calls hears nothing while there is no room, and no longer than it would of a server that is busy.
        let place = loop {
            match share.take() {
                Some(place) => break place,
                None => tokio::select! {
                    Some(_) = relays.join_next() => {}
                    () = sleep(PAUSE) => {}
                },
            }
        };
        let dialer = dialer.clone();
        relays.spawn(async move {
            match timeout(CONNECT, dialer.connect(to)).await {
                Ok(Ok(inner)) => relay(outer, inner, std::future::pending()).await,
                // As if nobody listened there: nobody does.
                Ok(Err(_)) | Err(_) => reset(outer),
            }
            drop(place);
        });
    }
}

/// Most who send datagrams to a port at a time.
const FLOWS: usize = 1024;
/// Without a datagram for so long, somebody is gone.
const IDLE: Duration = Duration::from_secs(120);
const DATAGRAM: usize = 64 << 10;
/// Most datagrams of one sender that wait: with [`FLOWS`] of the longest this is 1 GiB for a port that somebody floods.
const WAITING: usize = 16;

async fn datagrams(outer: UdpSocket, dialer: Dialer, to: SocketAddr) {
    let outer = Arc::new(outer);
    let mut flows: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let share = Share::default();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let Ok((length, from)) = outer.recv_from(&mut buffer).await else {
            // An error of an earlier answer.
            continue;
        };
        if flows.len() >= FLOWS {
            flows.retain(|_, sender| !sender.is_closed());
        }
        while tasks.try_join_next().is_some() {}
        let is_over = flows.get(&from).is_none_or(mpsc::Sender::is_closed);
        if is_over {
            if flows.len() >= FLOWS {
                continue;
            }
            let Some(place) = share.take() else {
                continue;
            };
            let (sender, queue) = mpsc::channel(WAITING);
            let flow = flow(Arc::clone(&outer), dialer.clone(), from, to, queue);
            tasks.spawn(async move {
                flow.await;
                drop(place);
            });
            flows.insert(from, sender);
        }
        if let Some(sender) = flows.get(&from) {
            // Datagrams may be lost.
            let _ = sender.try_send(buffer[..length].to_vec());
        }
    }
}

async fn flow(
    outer: Arc<UdpSocket>,
    dialer: Dialer,
    from: SocketAddr,
    to: SocketAddr,
    mut queue: mpsc::Receiver<Vec<u8>>,
) {
    let Ok(inner) = dialer.datagrams(to).await else {
        return;
    };
    let mut buffer = vec![0; DATAGRAM];
    loop {
        tokio::select! {
            content = queue.recv() => match content {
                Some(content) => drop(inner.send(&content).await),
                None => return,
            },
            received = inner.recv(&mut buffer) => if let Ok(length) = received {
                drop(outer.send_to(&buffer[..length], from).await);
            },
            () = sleep(IDLE) => return,
        }
    }
}

fn explain(source: io::Error, port: Published) -> PublishError {
    let address = port.host;
    match source.kind() {
        io::ErrorKind::AddrInUse => PublishError::Taken {
            address,
            holder: super::holder::of(address, port.udp),
        },
        io::ErrorKind::PermissionDenied => PublishError::Privileged { address },
        _ => PublishError::Io { address, source },
    }
}
