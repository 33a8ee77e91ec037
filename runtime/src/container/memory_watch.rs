//! A container's memory where no control group holds it: what its processes have together is looked at, the more often the less
//! is left, and a container that has more than it may is ended.
//!
//! A look is cheap as long as the pages of all processes, each counted as often as it is mapped, are within the limit. Beyond
//! that each process is asked for its proportional share, so that nobody pays for what is shared.

use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Enforcement, Exceeded, Exit, ExitStatus, Means, Resources, processes};

/// Between two looks, at least and at most.
const INTERVALS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(100)];
/// Bytes that a container is expected to fill in a second at most.
const FASTEST: u64 = 4 << 30;
/// Looking takes at most one part in so many of the time.
const SHARE: u32 = 20;

/// Looks at a container's memory.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    /// Bytes.
    limit: u64,
    next: Instant,
    exceeded: bool,
}

impl MemoryWatch {
    /// Of a container that is to be watched.
    pub(crate) fn of(resources: &Resources, enforcement: &Enforcement) -> Option<Self> {
        let limit = resources.memory;
        let limit = limit.filter(|_| enforcement.memory == Means::Watch)?;
        Some(Self {
            limit,
            next: Instant::now(),
            exceeded: false,
        })
    }

    /// Returns when the container of this first process has more than it may, once. May be called again after it was
    /// cancelled.
    pub(super) async fn exceeded(&mut self, init: &OwnedFd) {
        if self.exceeded {
            std::future::pending::<()>().await;
        }
        loop {
            sleep_until(self.next).await;
            let begun = Instant::now();
            // A container that is gone has nothing.
            let found = processes::memory(init, self.limit).unwrap_or(0);
            self.next = Instant::now() + pause(self.limit.saturating_sub(found), begun.elapsed());
            if found > self.limit {
                self.exceeded = true;
                return;
            }
        }
    }

    /// A limit that was passed explains a failure, also of a container that was over before anybody looked.
    pub(super) fn complete(&self, exit: Exit) -> Exit {
        let largest = exit.usage.map_or(0, |usage| usage.max_rss);
        if exit.status == ExitStatus::Code(0) || !(self.exceeded || largest > self.limit) {
            return exit;
        }
        Exit {
            exceeded: Some(Exceeded::Memory),
            ..exit
        }
    }
}

/// What there is time for when so many bytes are left, and the last look took so long.
fn pause(left: u64, took: Duration) -> Duration {
    let [shortest, longest] = INTERVALS;
    let until_full = Duration::from_millis(left.saturating_mul(1000) / FASTEST);
    until_full.clamp(shortest, longest).max(took * SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::Usage;

    #[test]
    fn what_is_nearly_full_is_looked_at_more_often() {
        let quick = Duration::from_millis(1);
        assert_eq!(pause(0, quick), Duration::from_millis(20));
        assert_eq!(pause(256 << 20, quick), Duration::from_millis(62));
        assert_eq!(pause(64 << 30, quick), Duration::from_millis(100));
        let slow = Duration::from_millis(30);
        assert_eq!(pause(64 << 30, slow), Duration::from_millis(600));
    }

    #[test]
    fn a_limit_that_was_passed_explains_failures_and_nothing_else() {
        let watch = MemoryWatch {
            limit: 1000,
            next: Instant::now(),
            exceeded: false,
        };
        let ended = |code, max_rss| {
            let usage = Usage {
                max_rss,
                ..Usage::default()
            };
            let exit = Exit {
                status: ExitStatus::Code(code),
                usage: Some(usage),
                exceeded: None,
            };
            watch.complete(exit).exceeded
        };
        assert_eq!(ended(1, 1000), None);
        assert_eq!(ended(1, 1001), Some(Exceeded::Memory));
        assert_eq!(ended(0, 1001), None);
    }
}
