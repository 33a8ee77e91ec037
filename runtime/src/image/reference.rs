//! An image's name in a registry, after the grammar of `distribution/reference` (reference.go) and normalised as
//! Docker does it (normalize.go): `debian` is `docker.io/library/debian:latest`.

use std::fmt;
use std::str::FromStr;

use super::{Digest, DigestError};

/// The longest path, in bytes.
const MAX_PATH: usize = 255;
/// The longest tag, in bytes.
const MAX_TAG: usize = 128;
const DOCKER_HUB: &str = "docker.io";

/// A registry, a repository in it, and which of its images: a tag, a digest or both (the digest decides).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing there.
    #[error("an image name must not be empty")]
    Empty,
    /// Not of the grammar.
    #[error(
        "`{0}` is not an image name: expected `[registry[:port]/]repository[:tag][@sha256:digest]`"
    )]
    Format(String),
    /// A repository is lower-case.
    #[error("the repository in `{0}` must be lower-case")]
    Uppercase(String),
    /// Longer than a registry takes.
    #[error("a repository has at most {MAX_PATH} characters")]
    TooLong,
    /// 64 hexadecimal digits would be taken for an image ID.
    #[error("`{0}` looks like an image ID; a repository may not be 64 hexadecimal digits")]
    Identifier(String),
    /// What follows `@`.
    #[error("invalid digest in the image name: {0}")]
    Digest(#[from] DigestError),
}

/// A reference as it is written, before Docker's defaults are filled in.
#[derive(Debug, PartialEq, Eq)]
struct Parts<'a> {
    domain: Option<&'a str>,
    path: &'a str,
    tag: Option<&'a str>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry's name as written, with its port: `docker.io`, `localhost:5000`, `[::1]:5000`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository: `library/debian`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `None` only when there is a digest.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, when the name pins one.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What the registry is asked for: the digest if there is one, else the tag.
    pub(crate) fn version(&self) -> String {
        match (self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_else(|| "latest".to_owned()),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if is_identifier(text) {
            return Err(ReferenceError::Identifier(text.to_owned()));
        }
        let (registry, rest) = split_docker_domain(text);
        let remote = &rest[..rest.find([':', '@']).unwrap_or(rest.len())];
        if remote.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase(abridged(text)));
        }
        let whole = if registry == DOCKER_HUB && !rest.is_empty() && !remote.contains('/') {
            format!("{registry}/library/{rest}")
        } else {
            format!("{registry}/{rest}")
        };
        let parts = parse(&whole).map_err(|error| match error {
            // In the user's words, without what was filled in.
            ReferenceError::Format(_) => ReferenceError::Format(abridged(text)),
            error => error,
        })?;
        let tag = match (parts.tag, parts.digest) {
            (None, None) => Some("latest"),
            (tag, _) => tag,
        };
        Ok(Self {
            registry: parts.domain.unwrap_or(registry).to_owned(),
            repository: parts.path.to_owned(),
            tag: tag.map(str::to_owned),
            digest: parts.digest,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// Docker's rule for `first/rest`: `first` is a registry if it could not be a user of Docker Hub.
fn split_docker_domain(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (
                if first == "index.docker.io" {
                    DOCKER_HUB
                } else {
                    first
                },
                rest,
            )
        }
        _ => (DOCKER_HUB, text),
    }
}

fn parse(text: &str) -> Result<Parts<'_>, ReferenceError> {
    if text.is_empty() {
        return Err(ReferenceError::Empty);
    }
    let malformed = || ReferenceError::Format(abridged(text));
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let last = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match rest[last..].rfind(':') {
        Some(colon) => (&rest[..last + colon], Some(&rest[last + colon + 1..])),
        None => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(malformed());
    }
    let (domain, path) = match name.split_once('/') {
        Some((first, path)) if is_domain(first) => (Some(first), path),
        _ => (None, name),
    };
    if !path.split('/').all(is_path_component) {
        let lower = path.to_ascii_lowercase();
        return Err(if lower.split('/').all(is_path_component) {
            ReferenceError::Uppercase(abridged(text))
        } else {
            malformed()
        });
    }
    if path.len() > MAX_PATH {
        return Err(ReferenceError::TooLong);
    }
    let digest = digest.map(str::parse).transpose()?;
    Ok(Parts {
        domain,
        path,
        tag,
        digest,
    })
}

/// `[a-zA-Z0-9]` with inner `-`, dotted; or an IPv6 address in brackets, without a zone; then an optional port.
fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let address_fits =
                !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            match (address_fits, rest.strip_prefix(':')) {
                (true, Some(port)) => return is_port(port),
                (fits, _) => return fits && rest.is_empty(),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `[a-z0-9]+` joined by one `.`, one or two `_`, or any number of `-`.
fn is_path_component(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    is_word(*first)
        && is_word(*last)
        && bytes.split(|b| is_word(*b)).all(|separator| {
            matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

fn is_identifier(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A user's text, fit for a message.
fn abridged(text: &str) -> String {
    super::descriptor::printable(text)
}

#[cfg(test)]
mod tests;
