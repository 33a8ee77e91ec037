//! What the agent that holds an attempt says about it.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ArtifactEnd, AttemptId, CacheEnd, Checksum, StreamName};
use crate::{Cause, Conclusion, Event, Output};

/// What an agent holds, all of it: attempts that it has accepted and not yet finished or released. One call an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Heartbeat {
    /// At most [`limits::HELD`](super::limits::HELD).
    pub held: Vec<AttemptId>,
}

/// What becomes of what an agent holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeartbeatAnswer {
    /// One for each that was named.
    pub held: Vec<Standing>,
    /// The agent is to take no more jobs.
    #[serde(default)]
    pub drain: bool,
    /// When to come again at the latest, milliseconds.
    pub heartbeat_ms: u64,
}

/// What becomes of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Standing {
    /// Which.
    #[serde(flatten)]
    pub id: AttemptId,
    /// What to do.
    pub order: Order,
}

/// What an agent is to do with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Go on; the lease is extended.
    Continue,
    /// Stop it as a user who cancels does: steps may end in their grace period. Then finish.
    Cancel,
    /// Kill it at once. Then finish.
    Abort,
    /// It is the agent's no more: kill it, send nothing, throw its spool away.
    Lost,
    /// An order that this program does not know: the server is newer. Go on, until it is said in words that it knows.
    #[serde(other)]
    Unknown,
}

/// Events in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventBatch<E = Event> {
    /// The number of the first one; an attempt's first event has 0.
    pub first: u64,
    /// At most [`limits::EVENT_BATCH`](super::limits::EVENT_BATCH). [`Event::Log`] is never among them: logs have streams.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<E>,
}

/// Events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventsKept {
    /// The number of the event that comes next.
    pub next: u64,
}

/// Events as they are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventPage<E = Event> {
    /// The number of the first one.
    pub first: u64,
    /// In their order.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<E>,
    /// Where to go on.
    pub next: u64,
    /// No more will come behind `next`.
    pub complete: bool,
}

/// A piece of a log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogKept {
    /// The offset of the byte that comes next.
    pub next: u64,
}

/// A piece of a log, as who follows it gets it: the data of a server-sent event `log`, whose id is the offset behind the piece.
/// Where a log is longer than is kept, the next piece starts further on. The event `end` says that no more will come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogPiece {
    /// Where it starts.
    pub offset: u64,
    /// Its bytes.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub output: Output,
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finish {
    /// How the job ended.
    pub conclusion: Conclusion,
    /// Why, where the steps do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cause: Option<Cause>,
    /// The job's outputs, where it has succeeded: at most [`limits::OUTPUTS`](super::limits::OUTPUTS) bytes.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub outputs: IndexMap<String, String>,
    /// How many events there are.
    pub events: u64,
    /// Every stream, also empty ones, archives of artifacts among them; at most [`limits::STREAMS`](super::limits::STREAMS).
    pub logs: Vec<LogEnd>,
    /// What the archives among the streams are; at most [`limits::ARTIFACTS`](super::limits::ARTIFACTS). One that is not named
    /// here is thrown away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactEnd>,
    /// The same of caches; at most [`limits::CACHES`](super::limits::CACHES). One whose key is taken is thrown away as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<CacheEnd>,
}

/// What a stream must be when it is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogEnd {
    /// Which.
    pub name: StreamName,
    /// Bytes.
    pub length: u64,
    /// Of all of them.
    pub checksum: Checksum,
}

/// An agent gives an attempt back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Release {
    /// Why.
    #[serde(flatten)]
    pub reason: ReleaseReason,
}

/// Why an agent gives an attempt back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum ReleaseReason {
    /// It cannot take it: it is draining, or has no slot. Counts as never run while it was not accepted.
    Declined,
    /// It cannot read what it was offered: it is older than the server, say. After a few of them in a row the job is an error.
    Unreadable {
        /// What it could not read.
        message: String,
    },
    /// It is shutting down.
    Shutdown,
    /// It was killed, and has found this on its disk.
    Restarted,
    /// The job's own process of the agent has ended without a result.
    Broken {
        /// What is known of it.
        message: String,
    },
}
