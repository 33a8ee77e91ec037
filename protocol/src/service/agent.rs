//! Agents: who they are, and how they ask for jobs.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AgentId, AttemptId};

/// What an agent says it is: when it registers, and at each of its starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentDescription {
    /// For people; need not be unique. At most [`limits::NAME`](super::limits::NAME) bytes.
    pub name: String,
    /// What `runs_on` asks for: at most [`limits::LABELS`](super::limits::LABELS), names and values at most
    /// [`limits::LABEL`](super::limits::LABEL) bytes each.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub labels: IndexMap<String, String>,
    /// How many jobs it runs at once, from 1.
    pub slots: u32,
    /// The program's version.
    pub version: String,
    /// It takes one job and is then forgotten.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
}

/// An agent has registered. The secret is the bearer token of all its later calls and is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Registered {
    /// Its id.
    pub agent: AgentId,
    /// Its token.
    pub secret: String,
}

impl std::fmt::Debug for Registered {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registered")
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

/// An agent asks for a job. Answered with one [`Assignment`](super::Assignment) (200), or none (204) when the wait is over or the
/// server has a reason to be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acquire {
    /// How many more jobs it could run; 0 is answered with 204 at once.
    pub free: u32,
    /// How long to wait, milliseconds; a server waits no longer than [`limits::WAIT_MS`](super::limits::WAIT_MS).
    pub wait_ms: u64,
}

/// An agent, as users see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentInfo {
    /// Its id.
    pub id: AgentId,
    /// What it says it is.
    #[serde(flatten)]
    pub description: AgentDescription,
    /// Whether it is there.
    pub state: AgentState,
    /// It takes no more jobs.
    pub draining: bool,
    /// What it holds.
    pub holds: Vec<AttemptId>,
    /// When it registered.
    pub created_at: u64,
    /// When it was last heard of.
    pub seen_at: u64,
}

/// Whether an agent is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// It asks for jobs or reports on them.
    Online,
    /// Nothing was heard of it for longer than a lease lasts.
    Offline,
}

/// A page of agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Agents {
    /// By id.
    pub agents: Vec<AgentInfo>,
    /// `after` for the next page, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// An agent's draining, as it is answered to who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drain {
    /// Whether it takes no more jobs now.
    pub draining: bool,
    /// What it still holds.
    pub holds: Vec<AttemptId>,
}
