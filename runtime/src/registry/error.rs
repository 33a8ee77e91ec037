//! Why a registry did not give what was asked for. Each variant is a different thing to do about it.

use std::fmt;
use std::time::Duration;

use super::authorities::AuthoritiesError;
use super::connection;
use super::credentials::CredentialsError;
use crate::image::Digest;

/// What was asked for, for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The image's full name.
    pub image: String,
    /// Without query, user and password: signed storage URLs and tokens are secrets.
    pub url: String,
}

/// Why a registry did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Trying again later may help: down, reset, too slow, overloaded, out of quota.
    #[error("{place}: {outage}")]
    Unavailable {
        /// What was asked for.
        place: Place,
        /// In which way.
        #[source]
        outage: Outage,
    },
    /// 401 or 403. Docker Hub also says so of an image that does not exist.
    #[error(
        "{place}: access denied ({status}{}); log in, or check the image's name",
        told(message)
    )]
    Unauthorized {
        /// What was asked for.
        place: Place,
        /// HTTP.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// 404: no such image, tag or blob.
    #[error("{place}: not found{}", told(message))]
    NotFound {
        /// What was asked for.
        place: Place,
        /// The server's words.
        message: String,
    },
    /// Another status that makes no sense here.
    #[error("{place}: unexpected answer {status}{}", told(message))]
    Refused {
        /// What was asked for.
        place: Place,
        /// HTTP.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// The content is not what its name says.
    #[error("{place}: {corruption}")]
    Corrupt {
        /// What was asked for.
        place: Place,
        /// In which way.
        corruption: Corruption,
    },
    /// To somewhere we do not go.
    #[error("{place}: refused to follow a redirect to {target}")]
    Redirect {
        /// What was asked for.
        place: Place,
        /// Without its query.
        target: String,
    },
    /// The server asks for a log-in in a way we do not know, or would see a password in the clear.
    #[error("{place}: {reason}")]
    Challenge {
        /// What was asked for.
        place: Place,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A setting that is no URL of a registry.
    #[error(
        "`{}` in the mirrors of `{registry}` is not a URL like https://host[:port][/path]",
        without_log_in(value)
    )]
    Mirror {
        /// The setting's key.
        registry: String,
        /// Its value.
        value: String,
    },
    /// A name that this machine's settings forbid.
    #[error("`{image}` is blocked on this machine, by `{pattern}`")]
    Blocked {
        /// The image's full name.
        image: String,
        /// The setting.
        pattern: String,
    },
    /// A registry's name that no URL can hold.
    #[error("`{0}` is not the name of a registry")]
    Registry(String),
    /// Docker's configuration cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The authorities that somebody names are no such.
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    /// No HTTP client could be set up: no root certificates, most likely.
    #[error("no HTTP client can be set up")]
    Setup(#[source] reqwest::Error),
}

/// Why trying again later may help.
#[derive(Debug, thiserror::Error)]
pub enum Outage {
    /// Connect, TLS, reset, timeout. Not a source: its words are the end of its own chain.
    #[error("{}", connection::why(.0))]
    Transport(reqwest::Error),
    /// The connection ended too early, again and again.
    #[error("the connection broke {breaks} times, the last time at byte {offset} of {size}")]
    Broken {
        /// How often.
        breaks: u32,
        /// Bytes that arrived.
        offset: u64,
        /// Bytes in all.
        size: u64,
    },
    /// A server that sends just enough to keep the connection.
    #[error("the server is too slow: {bytes} bytes in {} s", within.as_secs())]
    Slow {
        /// What came.
        bytes: u64,
        /// Within this.
        within: Duration,
    },
    /// 5xx.
    #[error("the server answers {status}{}", told(message))]
    Status {
        /// HTTP.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// 429.
    #[error("the registry's rate limit is reached (429{}){}", told(message), later(*retry_after))]
    Quota {
        /// What the server asks for.
        retry_after: Option<Duration>,
        /// The server's words.
        message: String,
    },
}

impl Outage {
    /// How long the server asks to wait.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Quota { retry_after, .. } => *retry_after,
            Self::Transport(_) | Self::Broken { .. } | Self::Slow { .. } | Self::Status { .. } => {
                None
            }
        }
    }
}

/// How a content differs from its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Corruption {
    /// The content has another digest.
    #[error("the content has the digest {actual}, not {expected}")]
    Digest {
        /// The name.
        expected: Digest,
        /// The content's.
        actual: Digest,
    },
    /// The content has another size.
    #[error("the content has {actual} bytes, not {expected}")]
    Size {
        /// The descriptor's.
        expected: u64,
        /// The answer's, or what arrived.
        actual: u64,
    },
    /// A document larger than any of its kind.
    #[error("the document has more than {limit} bytes")]
    TooLarge {
        /// What we read.
        limit: u64,
    },
    /// An answer to a request for a part that is another part.
    #[error("the server answered a request for the rest from byte {offset} with another range")]
    Range {
        /// Bytes that had arrived.
        offset: u64,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.image, self.url)
    }
}

fn told(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

fn later(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| {
        format!("; it asks to wait {} s (Retry-After)", wait.as_secs())
    })
}

/// A setting that may have a password in it, which belongs nowhere else.
fn without_log_in(url: &str) -> String {
    match (url.find("//"), url.rfind('@')) {
        (Some(start), Some(end)) if start + 2 <= end => {
            format!("{}***{}", &url[..start + 2], &url[end..])
        }
        _ => url.to_owned(),
    }
}

/// A server's words, fit for a terminal: one line, at most 256 characters, no control characters.
pub(super) fn printable(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let line: String = clean.take(256).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
