//! From a text to a place.

use super::error::LONGEST;
use super::{Allowed, Scheme, Url, UrlError};
use crate::place;

impl Url {
    /// Parses the place of a repository.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn parse(text: &str, allowed: Allowed) -> Result<Self, UrlError> {
        let text = text.trim_end_matches('/');
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.len() > LONGEST {
            return Err(UrlError::TooLong);
        }
        let is_odd = |character: char| {
            character.is_control() || character.is_whitespace() || character == '\\'
        };
        if text.contains(is_odd) {
            return Err(UrlError::Characters);
        }
        if text.starts_with('-') {
            return Err(UrlError::Dash);
        }
        if text.starts_with('/') {
            return file(text, allowed);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                "https" => with_authority(Scheme::Https, rest, allowed),
                "http" => with_authority(Scheme::Http, rest, allowed),
                "ssh" => with_authority(Scheme::Ssh, rest, allowed),
                "file" => file(rest, allowed),
                other => Err(UrlError::Scheme(shown_scheme(other))),
            };
        }
        if let Some((transport, _)) = text.split_once("::") {
            return Err(UrlError::Scheme(shown_scheme(transport)));
        }
        scp(text, allowed)
    }
}

fn file(path: &str, allowed: Allowed) -> Result<Url, UrlError> {
    if !allowed.files {
        return Err(UrlError::File);
    }
    if !path.starts_with('/') {
        return Err(UrlError::Path);
    }
    check_path(path)?;
    Ok(Url {
        scheme: Scheme::File,
        user: None,
        password: None,
        host: String::new(),
        port: None,
        path: path.to_owned(),
        this_machine: true,
    })
}

fn with_authority(scheme: Scheme, rest: &str, allowed: Allowed) -> Result<Url, UrlError> {
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if path.contains(['?', '#']) || authority.contains(['?', '#']) {
        return Err(UrlError::Query);
    }
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority),
    };
    let (user, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
        Some((user, password)) => (some(decoded(user)?), some(decoded(password)?)),
        None => (None, None),
    };
    let (host, port) = host_and_port(place)?;
    check_machine(&host, allowed)?;
    if scheme == Scheme::Http && !allowed.plain_http && !place::is_loopback(&host) {
        return Err(UrlError::PlainHttp);
    }
    if path.trim_matches('/').is_empty() {
        return Err(UrlError::Path);
    }
    check_path(path)?;
    if user.as_ref().is_some_and(|user| user.starts_with('-')) {
        return Err(UrlError::Dash);
    }
    Ok(Url {
        scheme,
        user,
        password,
        host,
        port,
        path: path.to_owned(),
        this_machine: allowed.this_machine,
    })
}

fn check_machine(host: &str, allowed: Allowed) -> Result<(), UrlError> {
    match allowed.this_machine || !place::is_this_machine(host) {
        true => Ok(()),
        false => Err(UrlError::ThisMachine),
    }
}

/// `user@host:path`.
fn scp(text: &str, allowed: Allowed) -> Result<Url, UrlError> {
    let (place, path) = text.split_once(':').ok_or(UrlError::NoScheme)?;
    let (user, host) = place.split_once('@').ok_or(UrlError::NoScheme)?;
    if user.is_empty() || path.is_empty() {
        return Err(UrlError::NoScheme);
    }
    if user.starts_with('-') || path.starts_with('-') {
        return Err(UrlError::Dash);
    }
    check_path(path)?;
    let (host, port) = host_and_port(host)?;
    check_machine(&host, allowed)?;
    let path = path.strip_prefix("~/").unwrap_or(path);
    Ok(Url {
        scheme: Scheme::Ssh,
        user: Some(user.to_owned()),
        password: None,
        host,
        port,
        path: match path.starts_with('/') {
            true => path.to_owned(),
            // Every forge takes both, and `ssh://` has no other way to write it.
            false => format!("/{path}"),
        },
        this_machine: allowed.this_machine,
    })
}

fn host_and_port(place: &str) -> Result<(String, Option<u16>), UrlError> {
    if place.starts_with('-') {
        return Err(UrlError::Dash);
    }
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(UrlError::Host)?;
            address
                .parse::<std::net::Ipv6Addr>()
                .map_err(|_| UrlError::Host)?;
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':').ok_or(UrlError::Port)?),
            };
            (format!("[{}]", address.to_ascii_lowercase()), port)
        }
        None => {
            let (host, port) = match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            };
            let is_host = |character: char| {
                character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_')
            };
            if host.is_empty() || !host.chars().all(is_host) {
                return Err(UrlError::Host);
            }
            (host.to_ascii_lowercase(), port)
        }
    };
    let port = match port {
        None => None,
        Some(port) => match port.parse() {
            Ok(port @ 1..) if port.to_string() == place.rsplit(':').next().unwrap_or_default() => {
                Some(port)
            }
            _ => return Err(UrlError::Port),
        },
    };
    Ok((host, port))
}

pub(super) fn check_path(path: &str) -> Result<(), UrlError> {
    // Some hosts take `..;x` for `..`: what follows a semicolon are parameters (RFC 3986, section 3.3).
    let climbs = |part: &str| match part.split_once(';') {
        Some((name, _)) => matches!(name, "." | ".."),
        None => part == "..",
    };
    if path.split('/').any(climbs) {
        return Err(UrlError::Path);
    }
    if path.trim_start_matches('/').starts_with('-') {
        return Err(UrlError::Dash);
    }
    Ok(())
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Resolves `%40` and the like in a user or a password.
fn decoded(text: &str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let byte = behind
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or(UrlError::Characters)?;
        bytes.push(byte);
        rest = &behind[2..];
    }
    let text = String::from_utf8(bytes).map_err(|_| UrlError::Characters)?;
    match text.contains(char::is_control) {
        true => Err(UrlError::Characters),
        false => Ok(text),
    }
}

/// Of a scheme that is none of ours, what can be shown.
fn shown_scheme(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .take(16)
        .collect()
}
