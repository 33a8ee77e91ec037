//! What came of a call that failed.

use std::time::Duration;

use protocol::service::{Problem, ProblemCode};
use runtime::registry::AuthoritiesError;

/// What came of a call that failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer.
    #[error("failed to reach {server}: {why}")]
    Unreachable {
        /// The server's address.
        server: String,
        /// What the network says.
        why: String,
    },
    /// The server says no.
    #[error("{}", .problem.message)]
    Refused {
        /// The status of the answer.
        status: u16,
        /// What it says.
        problem: Box<Problem>,
        /// When to come again, if it says so.
        after: Option<Duration>,
    },
    /// What answers is no server of ours, or a proxy before it.
    #[error("{server} answers {status}, and not as a Slipway server does: {text}")]
    Foreign {
        /// The server's address.
        server: String,
        /// The status of the answer.
        status: u16,
        /// The beginning of it.
        text: String,
    },
    /// The server was full or away for too long.
    #[error("the server gave no answer for {}: {source}", humantime::format_duration(*.patience))]
    Lasting {
        /// For how long.
        patience: Duration,
        /// What came of the last attempt.
        #[source]
        source: Box<Self>,
    },
    /// The authorities that somebody names are no such.
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    /// The client cannot be made.
    #[error("failed to set up connections: {0}")]
    Setup(String),
}

impl CallError {
    /// Whether the same call may go better later: a network, a server that is starting or has too much to do, whatever stands
    /// before it and has a page of its own for that.
    #[must_use]
    pub const fn is_worth_another_attempt(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Foreign { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || matches!(*status, 408 | 429),
            Self::Lasting { .. } | Self::Authorities(_) | Self::Setup(_) => false,
        }
    }

    /// What the server says is wrong.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        match self {
            Self::Refused { problem, .. } => Some(problem.code),
            _ => None,
        }
    }

    /// The rest of what the server says.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// How long the server wants to be left alone.
    #[must_use]
    pub const fn after(&self) -> Option<Duration> {
        match self {
            Self::Refused { after, .. } => *after,
            _ => None,
        }
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            // The server's own help is for programs.
            Self::Refused { problem, .. } if problem.code == ProblemCode::Unauthorized => Some(
                "give a token that counts with --token, SLIPWAY_TOKEN or --token-file; `agent tokens create` makes one"
                    .to_owned(),
            ),
            Self::Refused { problem, .. } => problem.help.clone(),
            Self::Lasting { source, .. } => source.hint(),
            Self::Unreachable { why, .. } if why.contains("certificate") => Some(
                "is the address right (--server, SLIPWAY_SERVER)? An authority that this machine does not know is named with --ca-file"
                    .to_owned(),
            ),
            Self::Unreachable { .. } => {
                Some("is the address right (--server, SLIPWAY_SERVER), and does the server run?".to_owned())
            }
            _ => None,
        }
    }
}
