//! The name server at a pod's gateway (RFC 1035): it knows the pod's containers, and asks the machine's servers for all other
//! names, as far as the container may look them up. What it answered is what the container may reach under a list.

mod answer;
mod upstream;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::member::Members;
use answer::answer;

/// How a query comes, and how it is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

/// Most queries of a pod that are being answered.
const QUERIES: usize = 512;
/// Most connections of a pod to its name server.
const CONNECTIONS: usize = 256;
/// How long a connection may wait for a query, or for its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before the next attempt to accept when there are no descriptors.
const PAUSE: Duration = Duration::from_millis(20);
/// No query that a resolver sends is longer.
const QUERY: usize = 4096;

/// Starts the name server on a pod's two sockets; ends with the set.
pub(super) fn start(
    tasks: &mut JoinSet<()>,
    members: &Arc<Members>,
    udp: OwnedFd,
    tcp: OwnedFd,
) -> io::Result<()> {
    let udp = UdpSocket::from_std(udp.into())?;
    let tcp = TcpListener::from_std(tcp.into())?;
    tasks.spawn(datagrams(Arc::new(udp), Arc::clone(members)));
    tasks.spawn(connections(tcp, Arc::clone(members)));
    Ok(())
}

async fn datagrams(socket: Arc<UdpSocket>, members: Arc<Members>) {
    let room = Arc::new(Semaphore::new(QUERIES));
    let mut buffer = vec![0; QUERY];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            // An error of an earlier answer.
            continue;
        };
        // Without room it is lost, and asked again.
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            continue;
        };
        let (socket, members) = (Arc::clone(&socket), Arc::clone(&members));
        let query = buffer[..length].to_vec();
        tokio::spawn(async move {
            if let Some(answer) = answer(&members, from.ip(), &query, Transport::Udp).await {
                let _ = socket.send_to(&answer, from).await;
            }
            drop(permit);
        });
    }
}

async fn connections(listener: TcpListener, members: Arc<Members>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
            let members = Arc::clone(&members);
            tokio::spawn(async move {
                // Whatever ends it, the client sees it ended.
                let _ = converse(stream, from, &members).await;
                drop(permit);
            });
        }
    }
}

/// Answers one query after the other (RFC 7766).
async fn converse(mut stream: TcpStream, from: SocketAddr, members: &Members) -> io::Result<()> {
    loop {
        let query = timeout(PATIENCE, read(&mut stream, QUERY)).await??;
        let address: IpAddr = from.ip();
        let Some(answer) = answer(members, address, &query, Transport::Tcp).await else {
            return Ok(());
        };
        timeout(PATIENCE, write(&mut stream, &answer)).await??;
    }
}

/// A message with its length in front (RFC 1035, 4.2.2).
async fn read(stream: &mut TcpStream, limit: usize) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length > limit {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(message);
    stream.write_all(&framed).await
}
