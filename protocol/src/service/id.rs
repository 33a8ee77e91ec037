//! Numbers that a server has given. Each kind is a type of its own, so that none is taken for another.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! ids {
    ($($(#[$attribute:meta])* $name:ident;)*) => {$(
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// A pipeline: one run of a `.pipeline.yml`. From 1, never used again.
    PipelineId;
    /// A job of a pipeline. From 1 over all pipelines, never used again.
    JobId;
    /// An agent that has registered.
    AgentId;
    /// A token that was created.
    TokenId;
}

/// One attempt at a job: what an agent holds. The attempt's number is the fencing token: a job has at most one attempt
/// that is not over, and only in its name something can be written.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
pub struct AttemptId {
    /// The job.
    pub job: JobId,
    /// Which attempt, from 1.
    pub attempt: u32,
}

impl fmt::Display for AttemptId {
    /// As directories are called: `12-1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.job, self.attempt)
    }
}
