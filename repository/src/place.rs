//! Which hosts are this machine itself, whose servers trust whoever comes from it.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _};

/// Whether a host as it is written in a URL is this machine: by name, or by an address in any of the forms that
/// inet_aton(3) takes.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let is_named = name == "localhost" || name.ends_with(".localhost");
    let address = name.parse().ok().or_else(|| old_address(&name));
    is_named || address.is_some_and(is_ours)
}

/// Whether what is sent to a host as it is written in a URL stays on this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// Whether a host's name stands for an address of this machine, as far as its resolver says now. It is another question
/// whom libgit2 is told of a moment later: TLS and SSH do not talk to whoever cannot show the key of the host that was named.
pub(crate) fn stands_for_this_machine(host: &str) -> bool {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let resolved = (name, 443).to_socket_addrs();
    is_this_machine(host) || resolved.is_ok_and(|mut all| all.any(|address| is_ours(address.ip())))
}

/// Loopback, unspecified (which Linux takes for loopback), and addresses of the link, where clouds answer what is a secret.
fn is_ours(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_link_local() || address.octets()[0] == 0
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unicast_link_local()
                || address
                    .to_ipv4_mapped()
                    .is_some_and(|mapped| is_ours(mapped.into()))
        }
    }
}

/// `127.1`, `0x7f000001`, `017700000001`, `2130706433`.
fn old_address(text: &str) -> Option<IpAddr> {
    let numbers: Option<Vec<u32>> = text.split('.').map(number).collect();
    let numbers = numbers?;
    let (last, first) = numbers.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) {
        return None;
    }
    let mut address = 0_u32;
    for (place, part) in first.iter().enumerate() {
        address |= part << (24 - 8 * place);
    }
    let room = 32 - 8 * first.len();
    (room == 32 || *last < 1 << room).then(|| Ipv4Addr::from(address | last).into())
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_this_machine, stands_for_this_machine};

    #[test]
    fn this_machine_is_known_however_it_is_written() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "0",
            "0.0.0.0",
            "0x7f.1",
            "0x7f000001",
            "017700000001",
            "2130706433",
            "169.254.169.254",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[fe80::1]",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "example.org",
            "localhost.example.org",
            "128.0.0.1",
            "1.2.3.4.5",
            "10.127.0.1",
            "127.0.0.256",
            "[2001:db8::1]",
            "0x",
            "",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
        assert!(stands_for_this_machine("127.0.0.1") && stands_for_this_machine("localhost"));
    }
}
