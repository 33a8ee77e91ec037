//! What is told of a container's use of the network.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::policy::Refusal;

/// A thing a container did for the first time, or was kept from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It reached something.
    Reached(Place),
    /// It was refused something.
    Refused(Place, Refusal),
    /// So much is refused or reached that no more of it is told.
    More,
}

/// Takes reports. Cheap, may be called often and from any thread.
pub type ReportFn = Arc<dyn Fn(Report) + Send + Sync>;

/// Something on the network, by the name that was looked up, where there was one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// A name, else the address.
    pub host: String,
    /// `None` for a name that was not looked up, or has no addresses.
    pub address: Option<IpAddr>,
    /// 0 where there are no ports.
    pub port: u16,
    /// Over which protocol.
    pub protocol: Protocol,
}

/// Protocols that containers speak to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// A connection.
    Tcp,
    /// Datagrams.
    Udp,
    /// An echo request.
    Icmp,
    /// A name that is looked up.
    Dns,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Dns => "dns",
        })
    }
}
