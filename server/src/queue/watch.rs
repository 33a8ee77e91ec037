//! Whose lease is over, without trusting any clock but one's own monotonic one.
//!
//! A lease has a counter that grows with each heartbeat. Who sees the same number for longer than a lease lasts knows that its
//! agent is gone, whatever the clocks of agent, server and database say; a server that starts, or that was stopped for a
//! while, has seen nothing yet and gives every lease its full term anew. Several servers may watch the same leases:
//! the end of one is written only if its counter is still what was seen.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A lease as it was read: of which attempt, and its counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) job: i64,
    pub(crate) attempt: u32,
    pub(crate) beat: i64,
    /// It was accepted; otherwise it is an offer, which is over sooner.
    pub(crate) accepted: bool,
}

/// How long leases last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeaseTerms {
    pub(crate) accept: Duration,
    pub(crate) lease: Duration,
}

/// Watches leases.
#[derive(Debug)]
pub(crate) struct Watch {
    terms: LeaseTerms,
    seen: HashMap<i64, (Lease, Instant)>,
    last: Option<Instant>,
}

/// How long it may be between two looks before the one who looks doubts itself.
const DOUBT: Duration = Duration::from_secs(5);

impl Watch {
    pub(crate) fn new(terms: LeaseTerms) -> Self {
        Self {
            terms,
            seen: HashMap::new(),
            last: None,
        }
    }

    /// Takes note of all leases there are at a moment. Those that are over are returned.
    pub(crate) fn look(&mut self, leases: &[Lease], now: Instant) -> Vec<Lease> {
        // Who did not look for a while may itself have been stopped, and has answered no heartbeat in that time.
        let was_away = self
            .last
            .is_some_and(|last| now.duration_since(last) > DOUBT);
        if was_away {
            self.seen.clear();
        }
        self.last = Some(now);
        let mut seen = HashMap::with_capacity(leases.len());
        let mut over = Vec::new();
        for lease in leases {
            let since = match self.seen.get(&lease.job) {
                Some((known, since)) if known == lease => *since,
                _ => now,
            };
            let term = match lease.accepted {
                true => self.terms.lease,
                false => self.terms.accept,
            };
            if now.duration_since(since) >= term {
                over.push(*lease);
            }
            seen.insert(lease.job, (*lease, since));
        }
        self.seen = seen;
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: LeaseTerms = LeaseTerms {
        accept: Duration::from_secs(10),
        lease: Duration::from_secs(60),
    };

    fn lease(beat: i64, accepted: bool) -> Lease {
        Lease {
            job: 1,
            attempt: 1,
            beat,
            accepted,
        }
    }

    /// Looks every second from `from` to `to`; when something was over first, in seconds.
    fn first_over(
        watch: &mut Watch,
        start: Instant,
        from: u64,
        to: u64,
        lease: Lease,
    ) -> Option<u64> {
        (from..=to).find(|second| {
            let now = start + Duration::from_secs(*second);
            !watch.look(&[lease], now).is_empty()
        })
    }

    #[test]
    fn a_lease_without_a_heartbeat_is_over_after_its_term_and_an_offer_sooner() {
        let start = Instant::now();
        let mut watch = Watch::new(TERMS);
        assert_eq!(
            first_over(&mut watch, start, 0, 99, lease(0, true)),
            Some(60)
        );
        let mut watch = Watch::new(TERMS);
        assert_eq!(
            first_over(&mut watch, start, 0, 99, lease(0, false)),
            Some(10)
        );
    }

    #[test]
    fn a_heartbeat_gives_a_full_term() {
        let start = Instant::now();
        let mut watch = Watch::new(TERMS);
        assert_eq!(first_over(&mut watch, start, 0, 50, lease(0, true)), None);
        assert_eq!(
            first_over(&mut watch, start, 51, 200, lease(1, true)),
            Some(111)
        );
    }

    #[test]
    fn who_was_stopped_itself_ends_nothing() {
        let start = Instant::now();
        let mut watch = Watch::new(TERMS);
        assert_eq!(first_over(&mut watch, start, 0, 30, lease(0, true)), None);
        // An hour later it goes on.
        assert_eq!(
            first_over(&mut watch, start, 3_600, 9_999, lease(0, true)),
            Some(3_660)
        );
    }
}
