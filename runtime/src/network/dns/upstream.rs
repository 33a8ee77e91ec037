//! The machine's own name servers, asked as the machine asks them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query};
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

/// Asks one server after the other what somebody asked us; the answer bears the query's own id.
pub(super) async fn ask(
    resolver: &Resolver,
    query: &Message,
    question: &Query,
    transport: Transport,
) -> Option<(Vec<u8>, Message)> {
    let own = ours(query, question).to_vec().ok()?;
    let theirs = query.metadata.id.to_be_bytes();
    for _ in 0..ROUNDS {
        for server in &resolver.servers {
            let asked = timeout(
                PATIENCE,
                ask_one(*server, (&own, theirs), question, transport),
            )
            .await;
            match asked {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%server, %error, "a name server does not answer"),
                Err(_) => tracing::debug!(%server, "a name server does not answer in time"),
            }
        }
    }
    None
}

/// The same question in our own words: of what else a query can say, only what a resolver may want of its answer. Options are a
/// matter between neighbours (RFC 6891, 6.1.1): with some of them a container could speak in the machine's name.
fn ours(query: &Message, question: &Query) -> Message {
    let mut own = Message::query();
    own.metadata.recursion_desired = query.metadata.recursion_desired;
    own.metadata.checking_disabled = query.metadata.checking_disabled;
    own.metadata.authentic_data = query.metadata.authentic_data;
    own.add_query(question.clone());
    own.edns = query.edns.as_ref().map(|theirs| {
        let mut edns = Edns::new();
        edns.set_max_payload(theirs.max_payload());
        edns.set_dnssec_ok(theirs.flags().dnssec_ok);
        edns
    });
    own
}

async fn ask_one(
    server: SocketAddr,
    (query, theirs): (&[u8], [u8; 2]),
    question: &Query,
    transport: Transport,
) -> io::Result<(Vec<u8>, Message)> {
    let mut own = query.to_vec();
    let id = own.get_mut(..2).ok_or(io::ErrorKind::InvalidData)?;
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

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Edns, Message, Query};
    use hickory_proto::rr::rdata::opt::EdnsOption;
    use hickory_proto::rr::{Name, RecordType};

    use super::ours;

    #[test]
    fn what_a_container_says_to_its_neighbour_is_not_passed_on() {
        let question = Query::query(Name::from_ascii("example.org.").unwrap(), RecordType::A);
        let mut query = Message::query();
        query.metadata.recursion_desired = true;
        query.add_query(question.clone());
        let mut edns = Edns::new();
        edns.set_max_payload(1232);
        edns.set_dnssec_ok(true);
        edns.options_mut()
            .insert(EdnsOption::Unknown(65001, vec![7; 16]));
        query.edns = Some(edns);
        let sent = ours(&query, &question).to_vec().unwrap();
        let own = Message::from_vec(&sent).unwrap();
        let edns = own.edns.unwrap();
        assert_eq!((edns.max_payload(), edns.flags().dnssec_ok), (1232, true));
        assert!(edns.options().as_ref().is_empty());
        assert_eq!(own.queries, [question]);
        assert!(own.metadata.recursion_desired);
        // One without them is passed on without them: its sender would not understand an answer with some.
        let plain = Query::query(Name::from_ascii("example.org.").unwrap(), RecordType::A);
        assert!(ours(&Message::query(), &plain).edns.is_none());
    }
}
