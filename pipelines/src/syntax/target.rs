//! Entries of `allow`: `host`, `*.example.org`, an address or a range in CIDR notation, each with `:port` or without.
//!
//! What holds a container to them reads them for itself (the runtime's network policy); the agent's tests see to it that both
//! read the same.

use std::net::IpAddr;
use std::str::FromStr;

/// What is wrong with an entry; `None` for nothing.
pub(crate) fn target_problem(text: &str) -> Option<&'static str> {
    let place = match text.rsplit_once(':') {
        // An IPv6 address with a port stands in brackets.
        Some((place, port)) if !place.contains(':') || place.ends_with(']') => {
            if number::<u16>(port).is_none_or(|port| port == 0) {
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
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Some("a name has letters, digits, `-`, `_` and `.`, and `*.` only in front");
    }
    // `1.2.3.4.` and `010.0.0.1`: who writes them means an address.
    let is_all_numbers = name
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_all_numbers.then_some("numbers alone are no name, and these no address")
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
    let most: u8 = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    prefix.is_none_or(|prefix| number(prefix).is_some_and(|prefix: u8| prefix <= most))
}

/// A number as everybody writes it: without a sign, and without a zero in front.
fn number<N: FromStr>(text: &str) -> Option<N> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = text == "0" || !text.starts_with('0');
    (is_plain && is_short).then(|| text.parse().ok()).flatten()
}

/// RFC 1035, 2.3.4, with the underscore that services have (RFC 8552).
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
