//! Entries of `allow`: `host`, `*.example.org`, an address or a range in CIDR notation, each with `:port` or without.

use std::net::IpAddr;

/// What is wrong with an entry; `None` for nothing.
pub(crate) fn target_problem(text: &str) -> Option<&'static str> {
    let place = match text.rsplit_once(':') {
        // An IPv6 address with a port stands in brackets.
        Some((place, port)) if !place.contains(':') || place.ends_with(']') => {
            if !port.parse::<u16>().is_ok_and(|port| port > 0) {
                return Some("the port is no number from 1 to 65535");
            }
            place
        }
        _ => text,
    };
    if is_range(place) {
        return None;
    }
    if place.contains('/') {
        return Some("the range cannot be read");
    }
    let name = place.strip_suffix('.').unwrap_or(place);
    let name = name.strip_prefix("*.").unwrap_or(name);
    let is_name = name.len() <= 253 && name.split('.').all(is_label);
    (!is_name).then_some("a name has letters, digits, `-`, `_` and `.`, and `*.` only in front")
}

fn is_range(text: &str) -> bool {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let (address, prefix) = match bare.split_once('/') {
        None => (bare, None),
        Some((address, prefix)) => (address, Some(prefix)),
    };
    match address.parse() {
        Err(_) => false,
        Ok(address) => prefix.is_none_or(|prefix| {
            let most = match address {
                IpAddr::V4(_) => 32,
                IpAddr::V6(_) => 128,
            };
            prefix.bytes().all(|byte| byte.is_ascii_digit())
                && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= most)
        }),
    }
}

/// RFC 1035, 2.3.4, with the underscore that services have (RFC 8552).
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
