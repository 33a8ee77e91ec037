//! When agents were last heard of, as it is written down: not each time, for each call would wait for the disk.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use protocol::service::AgentId;

/// How many are remembered.
const MOST: usize = 100_000;

#[derive(Debug)]
pub(crate) struct Seen {
    every: Duration,
    written: Mutex<HashMap<AgentId, Instant>>,
}

impl Seen {
    /// An agent counts as gone when nothing is heard of it for `patience`.
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            every: (patience / 8).min(Duration::from_secs(15)),
            written: Mutex::default(),
        }
    }

    /// Whether it is to be written down that an agent was heard of now.
    pub(crate) fn is_due(&self, agent: AgentId, now: Instant) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let last = written.get(&agent);
        if last.is_some_and(|last| now.saturating_duration_since(*last) < self.every) {
            return false;
        }
        if written.len() >= MOST {
            written.clear();
        }
        written.insert(agent, now);
        true
    }
}
