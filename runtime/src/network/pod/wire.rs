//! What passes between the agent and the process that keeps a pod's namespace, on the socket of the request that started it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::container::StartError;

/// How a pod's own side of its bridge is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PodSpec {
    /// The gateway, and the subnet it is in.
    pub(crate) ipv4: Ipv4Net,
    /// The same in the other family. Left out where the kernel has none of it.
    pub(crate) ipv6: Ipv6Net,
}

impl PodSpec {
    pub(crate) const fn gateway(&self) -> Ipv4Addr {
        self.ipv4.addr()
    }

    pub(crate) const fn gateway6(&self) -> Ipv6Addr {
        self.ipv6.addr()
    }
}

/// What the agent asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// A network namespace with one interface on the bridge.
    Interface {
        /// Of the interfaces made so far; it is in their names.
        number: u32,
        /// In this order the gateways' families.
        addresses: Vec<IpAddr>,
    },
    /// Sockets in the pod's namespace; at most [`SOCKETS`].
    Sockets {
        /// Of which kind.
        kind: SocketKind,
        /// How many.
        count: usize,
    },
}

/// Most sockets that come with one answer.
pub(crate) const SOCKETS: usize = 8;

/// A kind of socket, non-blocking and not bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SocketKind {
    /// To connect to a container.
    Tcp,
    /// The same in the other family.
    Tcp6,
    /// To answer a container in somebody else's name.
    Udp,
    /// The same in the other family.
    Udp6,
}

impl SocketKind {
    pub(crate) const fn tcp(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Tcp,
            IpAddr::V6(_) => Self::Tcp6,
        }
    }

    pub(crate) const fn udp(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Udp,
            IpAddr::V6(_) => Self::Udp6,
        }
    }
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The namespace is made. Descriptors: the tap, the TCP and the UDP socket, the two of DNS (UDP, TCP), and with `ipv6`
    /// the TCP and the UDP socket of that family.
    Ready {
        /// The kernel has it.
        ipv6: bool,
        /// The bridge's number.
        bridge: u32,
    },
    /// Descriptor: the network namespace.
    Interface,
    /// Descriptors: they.
    Sockets,
    /// It could not be done.
    Failed(StartError),
}
