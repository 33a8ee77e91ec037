//! How long to wait before another attempt.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Waits that grow to a limit, each shortened by chance, so that agents that lost their server do not come back all at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(200), Duration::from_secs(30))
    }
}

impl Backoff {
    /// Waits from `first`, which double up to `most`.
    #[must_use]
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { next: first, most }
    }

    /// The next wait: between half of what it would be and all of it.
    pub fn wait(&mut self) -> Duration {
        // Keys of a hasher are random, and nothing here has to be secret.
        let chance = RandomState::new().hash_one(0_u8);
        self.wait_by(chance)
    }

    fn wait_by(&mut self, chance: u64) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(self.most);
        let half = full / 2;
        let thousandths = u32::try_from(chance % 1001).unwrap_or_default();
        half + half * thousandths / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    #[test]
    fn waits_double_to_their_limit_and_are_never_shorter_than_half() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let waits: Vec<u128> = (0..5).map(|_| backoff.wait_by(1000).as_millis()).collect();
        assert_eq!(waits, [1000, 2000, 4000, 5000, 5000]);
        assert_eq!(backoff.wait_by(1001).as_millis(), 2500);
        assert_eq!(backoff.wait_by(500).as_millis(), 3750);
        let wait = backoff.wait();
        assert!((2500..=5000).contains(&wait.as_millis()));
    }
}
