//! Unix milliseconds that never go back or jump while a server runs: the machine's clock at its start, and the monotonic one
//! since then.

use std::time::{Instant, SystemTime};

#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    started: Instant,
    unix_ms: u64,
}

impl Clock {
    pub(super) fn start() -> Self {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            started: Instant::now(),
            unix_ms: unix.map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }),
        }
    }

    pub(super) fn now(&self) -> u64 {
        let passed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.unix_ms.saturating_add(passed)
    }
}
