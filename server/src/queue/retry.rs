//! Which ends of an attempt are worth another one.

use protocol::service::ReleaseReason;
use protocol::{Cause, Conclusion};

use super::node::End;

/// Why an attempt was accepted and did not come to an end of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing was heard of the agent for longer than the lease lasts.
    Silent,
    /// It has given the attempt back.
    Released(ReleaseReason),
    /// An administrator has removed the agent.
    Removed,
}

impl Loss {
    /// For people, without a full stop.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Silent => {
                "nothing was heard of its agent for longer than its lease lasts".to_owned()
            }
            Self::Removed => "its agent was removed".to_owned(),
            Self::Released(ReleaseReason::Declined) => "its agent could not take it".to_owned(),
            Self::Released(ReleaseReason::Unreadable { message }) => {
                format!("its agent cannot read it: {}", clipped(message))
            }
            Self::Released(ReleaseReason::Shutdown) => "its agent was shut down".to_owned(),
            Self::Released(ReleaseReason::Restarted) => "its agent was killed".to_owned(),
            Self::Released(ReleaseReason::Broken { message }) => {
                format!("its agent could not go on with it: {}", clipped(message))
            }
        }
    }

    /// Why the attempt ended.
    pub(crate) fn cause(&self) -> Cause {
        Cause::Internal {
            message: self.message(),
        }
    }
}

/// Characters of what an agent says that are kept.
const WORDS: usize = 2_000;

fn clipped(message: &str) -> &str {
    let end = message.char_indices().nth(WORDS);
    &message[..end.map_or(message.len(), |(at, _)| at)]
}

/// How often in a row a job is offered to agents that cannot read it.
pub(crate) const UNREADABLE: u32 = 3;

/// How a job ends that was offered so often, the last time to this agent, which could not read it; `None` lets it be offered again.
pub(crate) fn unreadable((offers, agent): (u32, String), loss: &Loss) -> Option<End> {
    if offers < UNREADABLE {
        return None;
    }
    let message = format!(
        "offered {offers} times, and not taken on: {} (agent {agent})",
        loss.message()
    );
    Some(End::of(Conclusion::Error, Cause::Internal { message }))
}

/// How often in a row a job is offered without an answer: its assignment is something that agents cannot read, or what stands
/// between them and the server does not let it, or their acceptance, through.
pub(crate) const OFFERS: u32 = 10;

/// How a job ends that was offered so often, the last time to this agent; `None` lets it be offered again.
pub(crate) fn unanswered((offers, agent): (u32, String)) -> Option<End> {
    if offers < OFFERS {
        return None;
    }
    let message = format!(
        "offered {offers} times, and no agent has taken it on: the last one, {agent}, may say in its log what it could not read"
    );
    Some(End::of(Conclusion::Error, Cause::Internal { message }))
}

/// How often a job may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts a job has whose agents are lost, the first included.
    pub attempts: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 3 }
    }
}

impl RetryPolicy {
    /// How a job ends that was lost `lost` times, this one included; `None` lets it run again.
    pub(crate) fn verdict(self, lost: u32, loss: &Loss) -> Option<End> {
        if lost < self.attempts {
            return None;
        }
        let times = if lost == 1 { "once" } else { "again" };
        let message = format!("lost {times}, and not tried any more: {}", loss.message());
        Some(End::of(Conclusion::Error, Cause::Internal { message }))
    }
}
