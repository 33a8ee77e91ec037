//! Where a repository is: parsed strictly, shown without secrets.
//!
//! Git's own syntax has forms that execute commands (`ext::sh -c ..`) or smuggle options (`--upload-pack=..`); of it only
//! `https://`, `ssh://`, `user@host:path`, `http://` and absolute paths (`file://` too) are left here.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::place;

/// Longest URL that is taken, bytes.
const LONGEST: usize = 2048;

/// Which places are taken beside `https` and `ssh`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// Directories of this machine, as `file:///..` or as an absolute path.
    pub files: bool,
    /// `http` to any host; without, only to this machine (`localhost`, `127.0.0.0/8`, `::1`).
    pub plain_http: bool,
    /// Servers of this machine: `localhost`, loopback addresses, those of its link, and names that stand for such.
    pub this_machine: bool,
}

impl Default for Allowed {
    /// What a person may name who sits at the machine.
    fn default() -> Self {
        Self {
            files: false,
            plain_http: false,
            this_machine: true,
        }
    }
}

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scheme {
    /// `https://`
    Https,
    /// `http://`
    Http,
    /// `ssh://` and `user@host:path`
    Ssh,
    /// `file://` and absolute paths
    File,
}

/// The place of a repository. Shown without its password and token; written out with them for the process that makes a
/// transfer, and for nobody else.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Url {
    scheme: Scheme,
    /// User, and password where one was written; not for files.
    user: Option<String>,
    password: Option<String>,
    /// Lower case; IPv6 in brackets. Empty for files.
    host: String,
    port: Option<u16>,
    /// From its first `/`; of `user@host:path` relative to the user's home directory where it has none.
    path: String,
    /// Whether its name may stand for this machine.
    this_machine: bool,
}

/// A text that is no repository's place, or none that is allowed. Never shows the text: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is empty.
    #[error("the repository's URL is empty")]
    Empty,
    /// It is too long.
    #[error("the repository's URL has more than {LONGEST} bytes")]
    TooLong,
    /// It has spaces or control characters.
    #[error("the repository's URL has a space, a control character or a backslash")]
    Characters,
    /// It would be taken for an option.
    #[error("a repository's URL, its user, host or path do not begin with `-`")]
    Dash,
    /// Not one of ours.
    #[error("the repository's URL has the scheme `{0}`; it may be https, ssh, or user@host:path")]
    Scheme(String),
    /// Neither a URL nor `user@host:path`.
    #[error(
        "the repository's URL has no scheme; write https://host/path, ssh://user@host/path or user@host:path"
    )]
    NoScheme,
    /// `http` to another machine.
    #[error(
        "a repository is not fetched from another machine without encryption (http://); write https://"
    )]
    PlainHttp,
    /// A server of this machine, where none may be.
    #[error("a repository of a server on this machine itself is not allowed here")]
    ThisMachine,
    /// A path, where none may be.
    #[error("a repository in a directory of the machine is not allowed here")]
    File,
    /// A path that is not absolute, or leads up.
    #[error("the repository's path is not absolute, or has `..` in it")]
    Path,
    /// The host makes no sense.
    #[error("the repository's URL has no host, or one that is no host's name")]
    Host,
    /// The port makes no sense.
    #[error("the repository's URL has a port that is not a number from 1 to 65535")]
    Port,
    /// Git has no use for them.
    #[error("the repository's URL has a query or a fragment")]
    Query,
    /// It leads above the root of its host.
    #[error("the relative URL leads out of its host")]
    Relative,
}

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

    /// How the repository is reached.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host; empty for directories.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, where it is written.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The user that is written in it.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password that is written in it.
    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The directory, of a repository that is one.
    #[must_use]
    pub fn directory(&self) -> Option<&str> {
        (self.scheme == Scheme::File).then_some(self.path.as_str())
    }

    /// What people call it: `owner/name`, without `.git`; the last part of a directory's path.
    #[must_use]
    pub fn repository_name(&self) -> &str {
        let path = self.path.trim_matches('/');
        let path = path.strip_suffix("/.git").unwrap_or(path);
        let path = path.strip_suffix(".git").unwrap_or(path);
        match self.scheme {
            Scheme::File => path.rsplit('/').next().unwrap_or(path),
            _ => path,
        }
    }

    /// The text for libgit2, without password: credentials go by callback.
    pub(crate) fn to_git(&self) -> String {
        if self.scheme == Scheme::File {
            return self.path.clone();
        }
        self.to_string()
    }

    /// Whether credentials for one are meant for the other: the same scheme, host and port.
    #[must_use]
    pub fn is_same_host(&self, other: &Self) -> bool {
        (self.scheme, &self.host, self.port) == (other.scheme, &other.host, other.port)
    }

    /// A name for files that belong to this repository: some of its letters, and a hash of the whole.
    pub(crate) fn slug(&self) -> String {
        let hash: String = Sha256::digest(self.to_string().as_bytes())
            .iter()
            .take(10)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = self.repository_name();
        let readable = name.rsplit('/').next().unwrap_or(name);
        let readable: String = readable
            .chars()
            .filter(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_'))
            .take(40)
            .collect();
        format!("{readable}-{hash}")
            .trim_start_matches('-')
            .to_owned()
    }

    /// Whether the name of its host may stand for this machine.
    pub(crate) const fn may_be_this_machine(&self) -> bool {
        self.this_machine
    }

    /// Where a submodule is whose URL is written so: relative (`./`, `../`) to this repository, or whole. A submodule of a
    /// repository that is fetched is never a directory or a server of this machine, nor reached without encryption, where
    /// this one is not.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn of_submodule(&self, text: &str) -> Result<Self, UrlError> {
        let allowed = Allowed {
            files: self.scheme == Scheme::File,
            plain_http: false,
            this_machine: self.this_machine
                && (self.scheme == Scheme::File || place::is_this_machine(&self.host)),
        };
        if !(text.starts_with("./") || text.starts_with("../") || text == "..") {
            let mut url = Self::parse(text, allowed)?;
            // Wherever the repository's own host is, it was allowed.
            url.this_machine |= self.this_machine && self.host == url.host;
            if url.scheme == Scheme::Http && self.scheme != Scheme::Http {
                return Err(UrlError::PlainHttp);
            }
            return Ok(url);
        }
        let mut parts: Vec<&str> = self.path.split('/').collect();
        for part in text.trim_end_matches('/').split('/') {
            match part {
                "." | "" => {}
                ".." => match parts.pop() {
                    Some(part) if !part.is_empty() => {}
                    _ => return Err(UrlError::Relative),
                },
                part => parts.push(part),
            }
        }
        let path = parts.join("/");
        check_path(&path)?;
        // What was joined must be as good as what is written whole.
        if path.contains(|character: char| {
            character.is_control()
                || character.is_whitespace()
                || matches!(character, '\\' | '?' | '#')
        }) {
            return Err(UrlError::Characters);
        }
        Ok(Self {
            path,
            ..self.clone()
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::File => return write!(f, "file://{}", self.path),
            Scheme::Https => "https",
            Scheme::Http => "http",
            Scheme::Ssh => "ssh",
        };
        write!(f, "{scheme}://")?;
        // Of a token that is written as a user nothing is shown, and nothing is told to a log.
        if let Some(user) = self.user.as_ref().filter(|_| self.scheme == Scheme::Ssh) {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if self.path.starts_with('/') {
            f.write_str(&self.path)
        } else {
            write!(f, "/~/{}", self.path)
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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

fn check_path(path: &str) -> Result<(), UrlError> {
    if path.split('/').any(|part| part == "..") {
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

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
