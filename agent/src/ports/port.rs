//! `--publish [[ADDRESS:]PORT:]PORT[/udp]`, as Docker's users write it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A port of the machine that leads to one of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port {
    /// Of the machine; port 0 for any that is free.
    pub(super) host: SocketAddr,
    /// Of the container.
    pub(super) container: u16,
    /// Datagrams instead of connections.
    pub(super) udp: bool,
}

impl FromStr for Port {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (place, udp) = match text.rsplit_once('/') {
            None | Some((_, "tcp")) => (text.strip_suffix("/tcp").unwrap_or(text), false),
            Some((place, "udp")) => (place, true),
            Some(_) => return Err("only tcp and udp can be published"),
        };
        let (before, container) = place.rsplit_once(':').unwrap_or(("", place));
        // An address of IPv6 has colons itself.
        let (address, host) = match before.rsplit_once(':') {
            None => ("", before),
            Some((address, host)) => (address, host),
        };
        let address = match address {
            "" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            text => text
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                .unwrap_or(text)
                .parse()
                .map_err(|_| "what stands before the ports is no IP address")?,
        };
        let host = match host {
            "" => 0,
            text => number(text)?,
        };
        let container = match number(container)? {
            0 => return Err("a container's port is a number from 1 to 65535"),
            port => port,
        };
        Ok(Self {
            host: SocketAddr::new(address, host),
            container,
            udp,
        })
    }
}

fn number(text: &str) -> Result<u16, &'static str> {
    text.parse()
        .map_err(|_| "a port is a number up to 65535; ranges are not published")
}

#[cfg(test)]
mod tests {
    use super::Port;

    #[test]
    fn ports_are_read_as_docker_reads_them() {
        for (text, host, container, udp) in [
            ("80", "[::]:0", 80, false),
            ("8080:80", "[::]:8080", 80, false),
            ("127.0.0.1:8080:80/tcp", "127.0.0.1:8080", 80, false),
            ("127.0.0.1::53/udp", "127.0.0.1:0", 53, true),
            ("[::1]:8080:80", "[::1]:8080", 80, false),
            ("::1:8080:80", "[::1]:8080", 80, false),
        ] {
            let port: Port = text.parse().unwrap();
            assert_eq!(port.host.to_string(), host, "{text}");
            assert_eq!((port.container, port.udp), (container, udp), "{text}");
        }
        for text in [
            "",
            "0",
            "a:80",
            "80/sctp",
            "1.2.3:80:80",
            "80:0",
            "99999",
            "8000-8010:8000-8010",
        ] {
            assert!(text.parse::<Port>().is_err(), "{text}");
        }
    }
}
