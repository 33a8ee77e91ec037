//! Where the server is.

use std::fmt;
use std::str::FromStr;

/// The address of a server, without a slash at the end: `https://ci.example.org`, `http://127.0.0.1:8080/slipway`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerUrl(String);

/// A text is no server's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerUrlError {
    /// Neither `http://` nor `https://`.
    #[error("a server's address begins with https:// or http://")]
    Scheme,
    /// Not what a URL may be.
    #[error("{0:?} is not a server's address")]
    Invalid(String),
    /// With a user, a password, a query or a fragment.
    #[error(
        "a server's address has no user, password, query or fragment; the token is given with --token"
    )]
    Superfluous,
}

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    fn from_str(text: &str) -> Result<Self, ServerUrlError> {
        let text = text.trim_end_matches('/');
        let lower = text.to_ascii_lowercase();
        if !lower.starts_with("https://") && !lower.starts_with("http://") {
            return Err(ServerUrlError::Scheme);
        }
        let url =
            reqwest::Url::parse(text).map_err(|_| ServerUrlError::Invalid(text.to_owned()))?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_plain {
            return Err(ServerUrlError::Superfluous);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(ServerUrlError::Invalid(text.to_owned()));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl ServerUrl {
    /// The address of something there; `path` begins with a slash.
    pub(super) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Whether what is sent can be read on the way.
    #[must_use]
    pub fn is_in_the_clear(&self) -> bool {
        let Ok(url) = reqwest::Url::parse(&self.0) else {
            return true;
        };
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost"
            || address
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        url.scheme() == "http" && !is_here
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{ServerUrl, ServerUrlError};

    #[test]
    fn addresses_are_taken_or_explained() {
        let parse = |text: &str| text.parse::<ServerUrl>();
        assert_eq!(
            parse("HTTPS://CI.example.org/").unwrap().to_string(),
            "https://ci.example.org"
        );
        let url = parse("http://127.0.0.1:8080/slipway/").unwrap();
        assert_eq!(
            url.join("/healthz"),
            "http://127.0.0.1:8080/slipway/healthz"
        );
        assert!(!url.is_in_the_clear());
        assert!(parse("http://ci.example.org").unwrap().is_in_the_clear());
        assert!(
            parse("http://127.0.0.1.example.org")
                .unwrap()
                .is_in_the_clear()
        );
        assert_eq!(parse("ci.example.org"), Err(ServerUrlError::Scheme));
        assert_eq!(
            parse("https://me:x@ci.example.org"),
            Err(ServerUrlError::Superfluous)
        );
        assert!(parse("https://").is_err());
    }
}
