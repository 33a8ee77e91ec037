//! `--publish [[ADDRESS:]PORT:]PORT[/udp]`, as Docker's users write it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A port of the machine that leads to one of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Of the machine; port 0 for any that is free, `[::]` for all of its addresses.
    pub host: SocketAddr,
    /// Of the container.
    pub container: u16,
    /// Datagrams instead of connections.
    pub udp: bool,
}

/// One that leads to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedPort {
    /// As it was asked for.
    pub port: Port,
    /// Where it is on the machine.
    pub at: SocketAddr,
}

impl Port {
    /// Whether both cannot be on one machine.
    pub(crate) fn clashes_with(&self, other: &Self) -> bool {
        let (one, two) = (self.host.ip(), other.host.ip());
        // The unspecified address of IPv6 is all of the machine's, that of IPv4 too, so as not to depend on its settings.
        let meet = one == two || one.is_unspecified() || two.is_unspecified();
        meet && self.udp == other.udp
            && self.host.port() == other.host.port()
            && self.host.port() != 0
    }
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
    fn two_ports_clash_where_both_would_be_the_same_of_the_machine() {
        let clash = |one: &str, two: &str| {
            let [one, two]: [Port; 2] = [one, two].map(|text| text.parse().unwrap());
            assert_eq!(one.clashes_with(&two), two.clashes_with(&one));
            one.clashes_with(&two)
        };
        assert!(clash("8080:80", "8080:81"));
        assert!(clash("8080:80", "127.0.0.1:8080:81"));
        assert!(clash("0.0.0.0:8080:80", "127.0.0.1:8080:81"));
        assert!(!clash("127.0.0.1:8080:80", "127.0.0.2:8080:80"));
        assert!(!clash("8080:80", "8080:80/udp"));
        assert!(!clash("8080:80", "8081:80"));
        assert!(!clash("80", "80"));
    }

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
