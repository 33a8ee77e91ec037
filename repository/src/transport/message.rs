//! What the two processes of a transfer say to each other.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Bounds;
use crate::{Credentials, Error, KnownHosts, Url};

/// Longest request that is read, bytes: known hosts and a key may have a mebibyte each, and are escaped.
pub(super) const LONGEST_REQUEST: u64 = 8 << 20;

/// Longest line that is read of a child, bytes.
pub(super) const LONGEST_LINE: usize = 16 << 10;

/// Most characters of a message of libgit2's that are passed on.
const LONGEST_MESSAGE: usize = 1000;

/// One transfer into the mirror that is the child's working directory.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The process whose child it is to be; that it has died already is told by this.
    pub(crate) parent: u32,
    pub(crate) url: Url,
    pub(crate) credentials: Credentials,
    pub(crate) known_hosts: Option<KnownHosts>,
    pub(crate) refspecs: Vec<String>,
    /// How many commits of history; `None` is all of it.
    pub(crate) depth: Option<u32>,
    pub(crate) bounds: Bounds,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("url", &self.url)
            .field("refspecs", &self.refspecs)
            .finish_non_exhaustive()
    }
}

/// What a child says, a line each. The last one is `Done` or `Failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    /// The host has said something to people: it counts, or compresses.
    Heard {},
    /// How far it is.
    Received {
        bytes: u64,
        objects: u64,
        of: u64,
        /// Objects and deltas that have been worked on here.
        indexed: u64,
    },
    /// It is all here.
    Done {
        /// The host's default branch, where it tells one.
        branch: Option<String>,
    },
    /// It is not.
    Failed { kind: Kind, message: String },
}

/// Which [`Error`] it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Unreachable,
    Refused,
    NoRepository,
    Damaged,
    TooMuch,
    Process,
}

impl Line {
    pub(super) fn of(error: &Error) -> Self {
        let (kind, message) = match error {
            Error::Unreachable { message, .. } => (Kind::Unreachable, message.clone()),
            Error::Refused { message, .. } => (Kind::Refused, message.clone()),
            Error::NoRepository { message, .. } => (Kind::NoRepository, message.clone()),
            Error::Damaged { message, .. } => (Kind::Damaged, message.clone()),
            Error::TooMuch { message, .. } => (Kind::TooMuch, message.clone()),
            Error::Process { message, .. } => (Kind::Process, message.clone()),
            other => (Kind::Process, other.to_string()),
        };
        Self::Failed {
            kind,
            message: printable(&message),
        }
    }
}

impl Kind {
    pub(super) fn into_error(self, url: &Url, message: &str) -> Error {
        let (url, message) = (url.to_string(), printable(message));
        match self {
            Self::Unreachable => Error::Unreachable { url, message },
            Self::Refused => Error::Refused { url, message },
            Self::NoRepository => Error::NoRepository { url, message },
            Self::Damaged => Error::Damaged { url, message },
            Self::TooMuch => Error::TooMuch { url, message },
            Self::Process => Error::Process { url, message },
        }
    }
}

/// One line of text, not too long, that does nothing to a terminal.
pub(super) fn printable(text: &str) -> String {
    let text = text.trim().replace(char::is_control, " ");
    text.chars().take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::{Line, printable};

    #[test]
    fn lines_are_what_they_say_and_nothing_else() {
        let parse = |text: &str| serde_json::from_str::<Line>(text);
        let line = Line::Received {
            bytes: 1,
            objects: 2,
            of: 3,
            indexed: 4,
        };
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(
            text,
            r#"{"is":"received","bytes":1,"objects":2,"of":3,"indexed":4}"#
        );
        assert_eq!(parse(&text).unwrap(), line);
        assert_eq!(parse(r#"{"is":"heard"}"#).unwrap(), Line::Heard {});
        for wrong in [
            "",
            "{}",
            r#"{"is":"heard","more":1}"#,
            r#"{"is":"done"} x"#,
            r#"{"is":"received","bytes":-1,"objects":2,"of":3,"indexed":4}"#,
            r#"{"is":"failed","kind":"stopped","message":""}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn messages_do_nothing_to_a_terminal() {
        assert_eq!(printable(" a\x1b[31m\nb "), "a [31m b");
        assert_eq!(printable(&"x".repeat(5000)).len(), 1000);
    }
}
