//! Every refusal of a server.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a server did not do what it was asked to. The body of every answer from 400 on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// For programs; stable.
    pub code: ProblemCode,
    /// For people: what is wrong, without a full stop.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Under which id the request is in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// With [`ProblemCode::Gap`] the number of the event, with [`ProblemCode::Offset`] the offset, to go on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// With [`ProblemCode::Incomplete`]: what lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// Something that lacks before an attempt can be finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Missing {
    /// The stream; `None` is the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<super::StreamName>,
    /// From which offset, or which event, to send again. 0 where the server's copy differed: it has thrown it away.
    pub from: u64,
}

macro_rules! codes {
    ($($(#[$attribute:meta])* $variant:ident = $text:literal, $status:literal;)*) => {
        /// The kind of a [`Problem`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[non_exhaustive]
        pub enum ProblemCode {
            $($(#[$attribute])* #[serde(rename = $text)] $variant,)*
            /// One that this program does not know: the server is newer.
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl ProblemCode {
            /// All that a server says.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* Self::Unknown => "unknown" }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* Self::Unknown => 500 }
            }
        }
    };
}

codes! {
    /// The request makes no sense.
    Invalid = "invalid", 400;
    /// There is no token, or none that counts.
    Unauthorized = "unauthorized", 401;
    /// The token does not allow it.
    Forbidden = "forbidden", 403;
    /// There is no such thing, or the token does not show it.
    NotFound = "not_found", 404;
    /// No such method here.
    Method = "method", 405;
    /// The request did not come to its end in time.
    Timeout = "timeout", 408;
    /// The state of the thing does not allow it.
    Conflict = "conflict", 409;
    /// The attempt is not the job's current one, is over, or is another agent's: nothing more is to be sent for it.
    Fenced = "fenced", 409;
    /// Events before these have not come; `next` is the first that lacks.
    Gap = "gap", 409;
    /// `finish` came before everything else; `missing` names what lacks.
    Incomplete = "incomplete", 409;
    /// The body is larger than is taken.
    TooLarge = "too_large", 413;
    /// The body is of another type than is taken.
    MediaType = "media_type", 415;
    /// The piece does not start where the stream ends; `next` is where that is. Or a range lies behind the end.
    Offset = "offset", 416;
    /// The repository, its commit or its pipeline cannot be had.
    Repository = "repository", 422;
    /// The server speaks no version of the protocol that the client speaks.
    ProtocolVersion = "protocol_version", 426;
    /// Too many requests; `Retry-After` says when to come again.
    RateLimited = "rate_limited", 429;
    /// Something inside the server failed.
    Internal = "internal", 500;
    /// The server is shutting down, or database or storage do not answer: to be tried again, here or elsewhere.
    Unavailable = "unavailable", 503;
}

impl Problem {
    /// One of a kind.
    #[must_use]
    pub fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            request: None,
            next: None,
            missing: Vec::new(),
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with where to go on.
    #[must_use]
    pub const fn next(mut self, next: u64) -> Self {
        self.next = Some(next);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_words_on_the_wire_and_new_ones_are_read() {
        for code in ProblemCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
        let newer: Problem =
            serde_json::from_str(r#"{"code":"of_tomorrow","message":"m","more":1}"#).unwrap();
        assert_eq!(newer.code, ProblemCode::Unknown);
    }
}
