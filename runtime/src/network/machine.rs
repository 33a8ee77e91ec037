//! The machine's own network, as it is when it is asked: nothing of it is ever changed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rustix::io::Errno;

use super::netlink::route::is_local;

/// Port of name servers.
const DNS: u16 = 53;

/// Whether an address is one of the machine's own, or leads back to it. Where that cannot be found out it counts as one, unless
/// there is no way there at all.
pub(super) fn is_own(address: IpAddr) -> bool {
    is_local(address).unwrap_or_else(|errno| {
        !matches!(
            errno,
            Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::AFNOSUPPORT | Errno::OPNOTSUPP
        )
    })
}

/// How the machine looks names up (resolv.conf(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolver {
    /// Name servers, in order; at most three.
    pub(super) servers: Vec<SocketAddr>,
    /// What is appended to names.
    pub(super) search: Vec<String>,
    /// The `options` of the file that are for the resolver and not for its servers.
    pub(super) options: Vec<String>,
}

/// Most of a resolv.conf that is read.
const LIMIT: usize = 64 << 10;

impl Resolver {
    /// Of the machine, now. Containers ask the gateway, and that asks from here: a server at the machine's loopback address, as
    /// systemd-resolved is, will do.
    pub(super) fn of_machine() -> Self {
        let text = std::fs::read("/etc/resolv.conf").unwrap_or_default();
        let text = &text[..text.len().min(LIMIT)];
        Self::parse(&String::from_utf8_lossy(text))
    }

    fn parse(text: &str) -> Self {
        let mut found = Self {
            servers: Vec::new(),
            search: Vec::new(),
            options: Vec::new(),
        };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // An IPv6 address with a zone is one of a link, which std reads only with a number.
                    let address = words.next().and_then(|word| word.parse().ok());
                    found
                        .servers
                        .extend(address.map(|address: IpAddr| SocketAddr::new(address, DNS)));
                }
                // The last one counts.
                Some("search" | "domain") => {
                    found.search = words
                        .filter(|word| is_domain(word))
                        .map(str::to_owned)
                        .collect();
                }
                Some("options") => {
                    let known = |word: &&str| {
                        word.starts_with("ndots:")
                            || *word == "single-request"
                            || *word == "single-request-reopen"
                    };
                    found.options.extend(words.filter(known).map(str::to_owned));
                }
                _ => {}
            }
        }
        found.servers.truncate(3);
        found.search.truncate(32);
        if found.servers.is_empty() {
            found
                .servers
                .push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DNS));
        }
        found
    }
}

/// Something that can stand in a resolv.conf.
fn is_domain(word: &str) -> bool {
    word.len() <= 253
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        && word.bytes().any(|byte| byte != b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolv_conf_is_read_as_the_resolver_reads_it() {
        let found = Resolver::parse(
            "# systemd\nnameserver 127.0.0.53\nnameserver ::1\nnameserver what\ndomain old.example\noptions edns0 ndots:2\n\
             search corp.example  lab.example . bad;name\n",
        );
        assert_eq!(
            found.servers,
            [
                "127.0.0.53:53".parse().unwrap(),
                "[::1]:53".parse().unwrap()
            ]
        );
        assert_eq!(found.search, ["corp.example", "lab.example"]);
        assert_eq!(found.options, ["ndots:2"]);
        assert_eq!(
            Resolver::parse("").servers,
            ["127.0.0.1:53".parse().unwrap()]
        );
    }

    #[test]
    fn the_machine_knows_its_own_addresses() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
        // The whole of 127/8 is, though only one address of it is on an interface.
        assert!(is_own(Ipv4Addr::new(127, 9, 9, 9).into()));
        assert!(!is_own(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}
