//! What a container may reach: pure decisions, on names and addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::security::Defence;

/// What of the world a container may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nothing.
    #[default]
    Nothing,
    /// Everything but what is never reached ([`never`]).
    Everything,
    /// The same, and of that only what is on the list.
    Listed(Vec<Target>),
}

/// An entry of a list: `host`, `*.example.org`, an address or a range in CIDR notation, each with `:port` or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    place: Place,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// In lower case, without a final dot.
    Name(String),
    /// Names that end so; begins with a dot.
    Below(String),
    Range(IpNet),
}

/// Why a text is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no host, address or range: {reason}")]
pub struct TargetError {
    text: String,
    reason: &'static str,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let failed = |reason| TargetError {
            text: text.to_owned(),
            reason,
        };
        let (place, port) = split_port(text).map_err(failed)?;
        let place = match range(place) {
            Some(range) => Place::Range(range),
            None if place.contains('/') => return Err(failed("the range cannot be read")),
            None => {
                let name = place
                    .strip_suffix('.')
                    .unwrap_or(place)
                    .to_ascii_lowercase();
                let (is_below, bare) = match name.strip_prefix("*.") {
                    Some(bare) => (true, bare),
                    None => (false, name.as_str()),
                };
                if !is_name(bare) {
                    return Err(failed(
                        "a name has letters, digits, `-`, `_` and `.`, and `*.` only in front",
                    ));
                }
                if is_all_numbers(bare) {
                    return Err(failed("numbers alone are no name, and these no address"));
                }
                match is_below {
                    true => Place::Below(format!(".{bare}")),
                    false => Place::Name(name),
                }
            }
        };
        Ok(Self { place, port })
    }
}

/// An address with brackets or without, or a range.
fn range(text: &str) -> Option<IpNet> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let (address, prefix) = match bare.split_once('/') {
        None => (bare, None),
        Some((address, prefix)) => (address, Some(number(prefix)?)),
    };
    let address: IpAddr = address.parse().ok()?;
    match prefix {
        None => Some(address.into()),
        Some(prefix) => Some(IpNet::new(address, prefix).ok()?.trunc()),
    }
}

/// A number as everybody writes it: without a sign, and without a zero in front.
fn number<N: FromStr>(text: &str) -> Option<N> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = text == "0" || !text.starts_with('0');
    (is_plain && is_short).then(|| text.parse().ok()).flatten()
}

/// A text before and after the colon of its port, if it has one. An IPv6 address with a port stands in brackets.
fn split_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let Some((place, port)) = text.rsplit_once(':') else {
        return Ok((text, None));
    };
    if place.contains(':') && !place.ends_with(']') {
        return Ok((text, None));
    }
    match number(port) {
        Some(0) | None => Err("the port is no number from 1 to 65535"),
        Some(port) => Ok((place, Some(port))),
    }
}

/// Labels of at most 63 bytes, at most 253 in all (RFC 1035, 2.3.4), with the underscore that services have (RFC 8552).
fn is_name(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

/// `1.2.3.4.` and `010.0.0.1` are names by their letters; who writes them means an address.
fn is_all_numbers(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

impl Target {
    /// Whether a name, in lower case and without a final dot, is meant by it, at whatever port.
    fn has_name(&self, name: &str) -> bool {
        match &self.place {
            Place::Name(own) => own == name,
            // What is no name may have dots that separate nothing.
            Place::Below(end) => {
                name.len() > end.len() && name.ends_with(end.as_str()) && is_name(name)
            }
            Place::Range(_) => false,
        }
    }

    fn has(&self, address: IpAddr, port: u16, names: &[impl AsRef<str>]) -> bool {
        if self.port.is_some_and(|own| own != port) {
            return false;
        }
        match &self.place {
            Place::Range(range) => range.contains(&address),
            _ => names.iter().any(|name| self.has_name(name.as_ref())),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, self.port) {
            (Place::Name(name), _) => f.write_str(name)?,
            (Place::Below(end), _) => write!(f, "*{end}")?,
            (Place::Range(range), port) => {
                let bare = if range.prefix_len() == range.max_prefix_len() {
                    range.addr().to_string()
                } else {
                    range.to_string()
                };
                if port.is_some() && range.addr().is_ipv6() {
                    write!(f, "[{bare}]")?;
                } else {
                    f.write_str(&bare)?;
                }
            }
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Why something is not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It is not on the list.
    NotListed,
    /// With a list, names are looked up at the gateway and nowhere else.
    OtherResolver,
    /// It is the machine itself.
    Machine,
    /// A link-local address: clouds tell their secrets there.
    LinkLocal,
    /// An address that is nobody's: of loopback, multicast, broadcast or none.
    NoHost,
    /// Nobody has been told yet what it may reach, or it is over.
    Unknown,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotListed => "not in `allow`",
            Self::OtherResolver => {
                "with `allow`, names are looked up at the job's own resolver only"
            }
            Self::Machine => "an address of the machine itself",
            Self::LinkLocal => "a link-local address, such as clouds keep their metadata at",
            Self::NoHost => "not the address of a host",
            Self::Unknown => "the container may not use the network",
        })
    }
}

/// Ports of name servers: DNS, and DNS over TLS.
const RESOLVERS: [u16; 2] = [53, 853];

impl Policy {
    /// Whether a name, in lower case and without a final dot, may be looked up.
    ///
    /// # Errors
    /// Why not.
    pub fn look_up(&self, name: &str) -> Result<(), Refusal> {
        match self {
            Self::Nothing => Err(Refusal::Unknown),
            Self::Everything => Ok(()),
            Self::Listed(_) if !Defence::AllowLists.is_on() => Ok(()),
            Self::Listed(list) => {
                let is_listed = list.iter().any(|target| target.has_name(name));
                is_listed.then_some(()).ok_or(Refusal::NotListed)
            }
        }
    }

    /// Whether an address may be reached, of which these names were looked up. Whether it is the machine's own is for the
    /// caller to see.
    ///
    /// # Errors
    /// Why not.
    pub fn reach(
        &self,
        address: IpAddr,
        port: u16,
        names: &[impl AsRef<str>],
    ) -> Result<(), Refusal> {
        if let Some(refusal) = never(address)
            && Defence::NeverReached.is_on()
        {
            return Err(refusal);
        }
        match self {
            Self::Nothing => Err(Refusal::Unknown),
            Self::Everything => Ok(()),
            Self::Listed(_) if !Defence::AllowLists.is_on() => Ok(()),
            Self::Listed(_) if RESOLVERS.contains(&port) => Err(Refusal::OtherResolver),
            Self::Listed(list) => {
                let is_listed = list.iter().any(|target| target.has(address, port, names));
                is_listed.then_some(()).ok_or(Refusal::NotListed)
            }
        }
    }
}

/// Addresses that no container reaches through the gateway, in whatever notation they come.
#[must_use]
pub fn never(address: IpAddr) -> Option<Refusal> {
    match address {
        IpAddr::V4(address) => never_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => never_v4(inner),
            None => never_v6(address),
        },
    }
}

fn never_v4(address: Ipv4Addr) -> Option<Refusal> {
    // Where clouds have their metadata that do not use a link-local address.
    const CLOUDS: [Ipv4Addr; 3] = [
        // Alibaba, Azure, Oracle.
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(168, 63, 129, 16),
        Ipv4Addr::new(192, 0, 0, 192),
    ];
    let [first, ..] = address.octets();
    if address.is_link_local() || CLOUDS.contains(&address) {
        Some(Refusal::LinkLocal)
    } else if first == 0 || address.is_loopback() || first >= 224 {
        // "This network", loopback, multicast, reserved and broadcast (RFC 6890).
        Some(Refusal::NoHost)
    } else {
        None
    }
}

fn never_v6(address: Ipv6Addr) -> Option<Refusal> {
    // Amazon has a range for what its machines are told, the others an address: Google, Oracle, Scaleway.
    const AMAZON: [u16; 2] = [0xfd00, 0x0ec2];
    const CLOUDS: [Ipv6Addr; 3] = [
        Ipv6Addr::new(0xfd20, 0x0ce, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd00, 0x0c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
        Ipv6Addr::new(0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x42),
    ];
    let segments = address.segments();
    if address.is_unicast_link_local() || segments[..2] == AMAZON || CLOUDS.contains(&address) {
        Some(Refusal::LinkLocal)
    } else if address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || is_detour(segments)
    {
        Some(Refusal::NoHost)
    } else {
        None
    }
}

/// Whether an address leads to one of IPv4 that it does not tell: a translator's own prefix (RFC 8215), SIIT (RFC 2765), Teredo.
const fn is_detour(segments: [u16; 8]) -> bool {
    matches!(
        segments,
        [0x64, 0xff9b, 1, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x2001, 0, ..]
    )
}

/// The IPv4 address that one of IPv6 leads to: mapped and compatible (RFC 4291, 2.5.5), NAT64 (RFC 6052), 6to4 (RFC 3056).
pub(super) fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] => of(high, low),
        // Not `::` and `::1`, which are addresses of their own.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => of(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(list: &[&str]) -> Policy {
        Policy::Listed(list.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn reach(policy: &Policy, address: &str, port: u16, names: &[&str]) -> Result<(), Refusal> {
        policy.reach(address.parse().unwrap(), port, names)
    }

    #[test]
    fn targets_are_read_and_written_alike() {
        for text in [
            "example.org",
            "deb.debian.org:80",
            "*.crates.io",
            "*.crates.io:443",
            "192.0.2.7",
            "192.0.2.0/24:22",
            "2001:db8::/32",
            "[2001:db8::1]:443",
            "_srv.example.org",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        assert_eq!(
            "Example.ORG.".parse::<Target>().unwrap().to_string(),
            "example.org"
        );
        assert_eq!(
            "192.0.2.9/24".parse::<Target>().unwrap().to_string(),
            "192.0.2.0/24"
        );
    }

    #[test]
    fn what_is_no_target_is_told() {
        for text in [
            "",
            "*",
            "*.",
            "a..b",
            "a*b.org",
            "a.*",
            "host:0",
            "host:x",
            "host:65536",
            "1.2.3.4/33",
            "1.2.3.4/024",
            "010.0.0.1/8",
            "010.0.0.1",
            "1.2.3.4.",
            "host:+80",
            "host:080",
            "http://a",
            "a b",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        insta::assert_snapshot!("host:http".parse::<Target>().unwrap_err(), @"`host:http` is no host, address or range: the port is no number from 1 to 65535");
    }

    #[test]
    fn a_list_is_held_to_names_that_were_looked_up_and_to_their_addresses() {
        let list = policy(&["deb.debian.org:80", "*.example.org", "198.51.100.0/24:22"]);
        assert_eq!(list.look_up("deb.debian.org"), Ok(()));
        assert_eq!(list.look_up("a.b.example.org"), Ok(()));
        for name in [
            "example.org",
            "notexample.org",
            "deb.debian.org.evil.net",
            "debian.org",
        ] {
            assert_eq!(list.look_up(name), Err(Refusal::NotListed), "{name}");
        }
        assert_eq!(reach(&list, "203.0.113.1", 80, &["deb.debian.org"]), Ok(()));
        assert_eq!(
            reach(&list, "203.0.113.1", 443, &["deb.debian.org"]),
            Err(Refusal::NotListed)
        );
        assert_eq!(
            reach(&list, "203.0.113.1", 80, &[]),
            Err(Refusal::NotListed)
        );
        assert_eq!(reach(&list, "198.51.100.9", 22, &[]), Ok(()));
        assert_eq!(
            reach(&list, "198.51.100.9", 23, &[]),
            Err(Refusal::NotListed)
        );
    }

    #[test]
    fn with_a_list_no_other_resolver_is_reached() {
        let list = policy(&["0.0.0.0/0", "::/0"]);
        assert_eq!(
            reach(&list, "203.0.113.53", 53, &[]),
            Err(Refusal::OtherResolver)
        );
        assert_eq!(
            reach(&list, "2001:db8::53", 853, &[]),
            Err(Refusal::OtherResolver)
        );
        assert_eq!(reach(&Policy::Everything, "203.0.113.53", 53, &[]), Ok(()));
    }

    #[test]
    fn some_addresses_are_never_reached_in_any_notation() {
        let all = policy(&["0.0.0.0/0", "::/0"]);
        for (address, why) in [
            ("169.254.169.254", Refusal::LinkLocal),
            ("100.100.100.200", Refusal::LinkLocal),
            ("::ffff:169.254.169.254", Refusal::LinkLocal),
            ("64:ff9b::a9fe:a9fe", Refusal::LinkLocal),
            ("2002:a9fe:a9fe::1", Refusal::LinkLocal),
            ("168.63.129.16", Refusal::LinkLocal),
            ("fd00:ec2::254", Refusal::LinkLocal),
            ("fd00:ec2::23", Refusal::LinkLocal),
            ("64:ff9b:1::1", Refusal::NoHost),
            ("2001::1", Refusal::NoHost),
            ("fe80::1", Refusal::LinkLocal),
            ("127.0.0.1", Refusal::NoHost),
            ("::ffff:127.0.0.1", Refusal::NoHost),
            ("::127.0.0.1", Refusal::NoHost),
            ("0.0.0.0", Refusal::NoHost),
            ("224.0.0.1", Refusal::NoHost),
            ("255.255.255.255", Refusal::NoHost),
            ("::1", Refusal::NoHost),
            ("::", Refusal::NoHost),
            ("ff02::1", Refusal::NoHost),
        ] {
            for policy in [&all, &Policy::Everything] {
                assert_eq!(reach(policy, address, 80, &["x"]), Err(why), "{address}");
            }
        }
        assert_eq!(reach(&Policy::Everything, "10.1.2.3", 80, &[]), Ok(()));
        assert_eq!(
            reach(&Policy::Nothing, "10.1.2.3", 80, &[]),
            Err(Refusal::Unknown)
        );
    }
}
