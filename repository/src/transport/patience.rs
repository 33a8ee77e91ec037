//! Whether a transfer gets on.

use std::time::{Duration, Instant};

/// Fewer bytes than this are no progress: who sends one now and then would keep a process for ever.
const STEP: u64 = 4 << 10;

/// How long a transfer has not got on. Pure: the time is told to it.
#[derive(Debug)]
pub(super) struct Patience {
    bound: Duration,
    since: Instant,
    bytes: u64,
    indexed: u64,
}

impl Patience {
    pub(super) const fn new(bound: Duration, now: Instant) -> Self {
        Self {
            bound,
            since: now,
            bytes: 0,
            indexed: 0,
        }
    }

    /// The host counts and compresses; once it sends, only what it sends counts.
    pub(super) const fn heard(&mut self, now: Instant) {
        if self.bytes == 0 {
            self.since = now;
        }
    }

    /// So many bytes have come in all, and so many objects have been worked on; `complete` when only that is left.
    pub(super) const fn received(
        &mut self,
        bytes: u64,
        indexed: u64,
        complete: bool,
        now: Instant,
    ) {
        let is_step = bytes >= self.bytes.saturating_add(STEP) || (self.bytes == 0 && bytes > 0);
        let is_work = complete && indexed > self.indexed;
        if is_step || is_work {
            self.since = now;
            self.bytes = bytes;
            self.indexed = indexed;
        }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, Patience};

    #[test]
    fn what_gets_on_may_go_on_and_a_byte_now_and_then_does_not_count() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut patience = Patience::new(Duration::from_secs(60), start);
        assert!(!patience.is_over(at(59)) && patience.is_over(at(60)));
        patience.heard(at(50));
        assert!(!patience.is_over(at(109)) && patience.is_over(at(110)));
        patience.received(1, 0, false, at(100));
        assert!(!patience.is_over(at(159)));
        // It sends: its words do not count any more, nor do a few bytes.
        patience.heard(at(120));
        patience.received(4096, 1, false, at(130));
        assert!(patience.is_over(at(160)));
        patience.received(4097, 1, false, at(140));
        assert!(!patience.is_over(at(199)));
        // Everything is here: what is worked on counts.
        patience.received(4098, 1, true, at(150));
        assert!(patience.is_over(at(200)));
        patience.received(4098, 2, true, at(160));
        assert!(!patience.is_over(at(219)));
    }
}
