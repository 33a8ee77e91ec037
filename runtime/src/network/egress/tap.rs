use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::echo::Echoes;
use super::packet::{self, Seen};
use super::tcp::Connections;
use crate::message::Connection;
use crate::network::member::{Member, Members};
use crate::network::netlink::route::{Hardware, LOOPBACK};
use crate::sys::{PacketAddress, receive_packet, send_packet, watch as watch_fd};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// Where first packets and echo requests are seen, and answers are sent from.
#[derive(Debug)]
pub(in crate::network) struct Tap {
    socket: AsyncFd<OwnedFd>,
    bridge: u32,
    /// The pod's process has the socket as well and lives as long as this: whoever closes it last waits until no processor is
    /// looking at it any more (`packet_release`: some milliseconds), and that is not to be the agent.
    _process: Arc<Connection>,
}

impl Tap {
    pub(in crate::network) fn new(
        socket: OwnedFd,
        bridge: u32,
        process: &Arc<Connection>,
    ) -> io::Result<Self> {
        let socket = watch_fd(socket, Interest::READABLE)?;
        Ok(Self {
            socket,
            bridge,
            _process: Arc::clone(process),
        })
    }

    async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.socket.readable().await?;
            let received = ready.try_io(|socket| Ok(receive_packet(socket, buffer)?));
            if let Ok(result) = received {
                return result.map(|(length, _)| length);
            }
        }
    }

    /// Sends a packet to a container. One that does not get through is like one that is lost on the way: its sender tries again.
    pub(super) fn answer(&self, packet: &[u8], hardware: Hardware) {
        self.send(packet, self.bridge, hardware);
    }

    /// Lets a container's packet in: it arrives a second time, by the loopback interface.
    pub(super) fn let_in(&self, packet: &[u8]) {
        self.send(packet, LOOPBACK, [0; 6]);
    }

    fn send(&self, packet: &[u8], index: u32, hardware: Hardware) {
        let protocol = match packet.first().map(|first| first >> 4) {
            Some(6) => IPV6,
            _ => IPV4,
        };
        let to = PacketAddress {
            index,
            protocol,
            hardware,
        };
        if let Err(error) = send_packet(self.socket.get_ref(), packet, to) {
            tracing::debug!(%error, "a packet to a container was lost");
        }
    }
}

/// Before the next attempt to read after one that has failed.
const PAUSE: Duration = Duration::from_millis(100);
/// Larger than any packet of a container.
const PACKET: usize = 64 << 10;

/// Takes what the tap sees to whom it concerns.
pub(super) async fn watch(
    tap: Arc<Tap>,
    members: Arc<Members>,
    connections: Arc<Connections>,
    echoes: Arc<Echoes>,
) {
    let mut buffer = vec![0; PACKET];
    loop {
        tokio::task::coop::consume_budget().await;
        let length = match tap.receive(&mut buffer).await {
            Ok(length) => length,
            // The bridge is always up; what else is told here (ENETDOWN) is no reason to end.
            Err(error) => {
                tracing::warn!(%error, "the tap of a private network cannot be read");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let packet = &mut buffer[..length];
        packet::complete(packet);
        match packet::read(packet) {
            Some(Seen::Syn { from, to, next }) => {
                if let Some(member) = members.at(from.ip()) {
                    Connections::first(&connections, member, (from, to), next, packet);
                }
            }
            Some(Seen::Echo { from, .. }) => {
                if let Some(member) = members.at(from) {
                    Echoes::request(&echoes, member, packet);
                }
            }
            None => {}
        }
    }
}

/// Tells a container that what it sent does not get where it should.
pub(super) fn refuse(tap: &Tap, member: &Member, packet: &[u8], why: packet::Unreachable) {
    if let Some(answer) = packet::unreachable(packet, why) {
        tap.answer(&answer, member.hardware());
    }
}
