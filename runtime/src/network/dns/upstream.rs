//! The machine's own name servers, asked as the machine asks them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, Query};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::{Transport, read, write};
use crate::network::machine::Resolver;

/// How long a server has, and how often all of them are asked (resolv.conf(5): `timeout`, `attempts`).
const PATIENCE: Duration = Duration::from_secs(3);
const ROUNDS: usize = 2;
/// No message is longer.
const MESSAGE: usize = 64 << 10;

/// Asks one server after the other; the answer bears the query's own id.
pub(super) async fn ask(
    resolver: &Resolver,
    query: &[u8],
    question: &Query,
    transport: Transport,
) -> Option<(Vec<u8>, Message)> {
    for _ in 0..ROUNDS {
        for server in &resolver.servers {
            let asked = timeout(PATIENCE, ask_one(*server, query, question, transport)).await;
            match asked {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%server, %error, "a name server does not answer"),
                Err(_) => tracing::debug!(%server, "a name server does not answer in time"),
            }
        }
    }
    None
}

async fn ask_one(
    server: SocketAddr,
    query: &[u8],
    question: &Query,
    transport: Transport,
) -> io::Result<(Vec<u8>, Message)> {
    let mut own = query.to_vec();
    let id = own.get_mut(..2).ok_or(io::ErrorKind::InvalidData)?;
    let theirs = [id[0], id[1]];
    // Not the container's: whoever guesses has to guess ours and our port (RFC 5452).
    getrandom(&mut *id, GetRandomFlags::empty())?;
    let ours = [id[0], id[1]];
    let restore = |mut answer: Vec<u8>| {
        let message = Message::from_vec(&answer).ok()?;
        let is_it = answer[..2] == ours && message.queries.first() == Some(question);
        answer[..2].copy_from_slice(&theirs);
        is_it.then_some((answer, message))
    };
    match transport {
        Transport::Udp => {
            let any: IpAddr = match server {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind((any, 0)).await?;
            socket.connect(server).await?;
            socket.send(&own).await?;
            let mut buffer = vec![0; MESSAGE];
            loop {
                let length = socket.recv(&mut buffer).await?;
                // What is not the answer is somebody's attempt at one.
                if let Some(answer) = restore(buffer[..length].to_vec()) {
                    return Ok(answer);
                }
            }
        }
        Transport::Tcp => {
            let mut stream = TcpStream::connect(server).await?;
            write(&mut stream, &own).await?;
            let answer = read(&mut stream, MESSAGE).await?;
            restore(answer).ok_or_else(|| io::ErrorKind::InvalidData.into())
        }
    }
}
