//! How much steps write to their workspace.
//!
//! The disk is asked how much room it has, which costs one system call; only when there is as much less as the steps might
//! still write, the workspace is measured, which may take as long as there are files in it.

use std::time::Duration;

use runtime::zygote::{RequestError, Zygote};
use tokio::time::{Instant, sleep};

/// Between two looks at the disk.
const INTERVAL: Duration = Duration::from_millis(100);
/// Measuring takes at most one part in so many of the time, unless the disk fills.
const SHARE: u32 = 10;
/// Measurements that may fail one after the other while the disk fills: a step can move directories about so that none succeeds.
const FAILURES: u32 = 5;

/// Returns when more than `limit` bytes were written to a workspace and its directories, which are held under these names.
pub(super) async fn exceeded(zygote: &Zygote, names: &[&str], limit: u64) {
    let mut seen = Seen::default();
    loop {
        sleep(INTERVAL).await;
        let Ok(room) = zygote.room() else { continue };
        if !seen.calls_for_a_measurement(room, limit) {
            continue;
        }
        let begun = Instant::now();
        let written = written(zygote, names).await;
        if let Err(error) = &written {
            tracing::debug!(%error, "the workspace cannot be measured");
        }
        if seen.is_too_much(room, written.ok(), limit) {
            return;
        }
        seen.rest_until = Some(Instant::now() + begun.elapsed() * SHARE);
    }
}

async fn written(zygote: &Zygote, names: &[&str]) -> Result<u64, RequestError> {
    let mut total = 0;
    for name in names {
        total += zygote.written(name).await?;
    }
    Ok(total)
}

/// What the last measurement has shown.
#[derive(Debug, Default)]
struct Seen {
    /// The disk's room then, bytes; `None` before the first.
    room: Option<u64>,
    /// What may be written before there is anything new to see.
    may_write: u64,
    /// No other one before this, for a disk that does not fill.
    rest_until: Option<Instant>,
    /// Measurements that have failed since one has not.
    failures: u32,
}

impl Seen {
    fn calls_for_a_measurement(&mut self, room: u64, limit: u64) -> bool {
        let Some(before) = self.room else {
            return true;
        };
        let fallen = before.saturating_sub(room);
        // What others have removed is no room that was there before.
        self.room = Some(before.max(room));
        let is_due = self.rest_until.is_none_or(|until| until <= Instant::now());
        fallen > limit || (is_due && fallen >= self.may_write)
    }

    /// Takes a measurement into account, or that it failed.
    fn is_too_much(&mut self, room: u64, written: Option<u64>, limit: u64) -> bool {
        let fallen = self.room.map_or(0, |before| before.saturating_sub(room));
        match written {
            Some(bytes) => {
                (self.room, self.failures) = (Some(room), 0);
                self.may_write = limit.saturating_sub(bytes);
                bytes > limit
            }
            None if fallen > limit => {
                self.failures += 1;
                self.failures >= FAILURES
            }
            None => {
                self.room.get_or_insert(room);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_disk_that_fills_is_looked_at_closely() {
        let mut seen = Seen::default();
        assert!(seen.calls_for_a_measurement(1000, 100));
        assert!(!seen.is_too_much(1000, Some(20), 100));
        assert!(!seen.calls_for_a_measurement(930, 100));
        assert!(seen.calls_for_a_measurement(920, 100));
        // Right after a measurement that took long there is no other one, unless as much was written as there may be.
        seen.rest_until = Some(Instant::now() + Duration::from_secs(60));
        assert!(!seen.calls_for_a_measurement(910, 100));
        assert!(seen.calls_for_a_measurement(899, 100));
        assert!(seen.is_too_much(899, Some(101), 100));
    }

    #[test]
    fn measurements_that_fail_hide_nothing_for_long() {
        let mut seen = Seen::default();
        // Before the first nobody knows who has filled the disk.
        assert!((0..20).all(|_| !seen.is_too_much(1000, None, 100)));
        assert!((1..FAILURES).all(|_| !seen.is_too_much(800, None, 100)));
        assert!(seen.is_too_much(800, None, 100));
    }

    #[test]
    fn what_others_remove_is_no_room_to_write_to() {
        let mut seen = Seen::default();
        assert!(!seen.is_too_much(1000, Some(0), 100));
        assert!(!seen.calls_for_a_measurement(5000, 100));
        assert!(seen.calls_for_a_measurement(4900, 100));
    }
}
