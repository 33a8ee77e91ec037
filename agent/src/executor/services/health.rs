//! When a service that is not ready yet is tried again, and until when. Pure: it is told the time.

use std::time::Duration;

use protocol::Cause;
use tokio::time::Instant;

use crate::backend::Healthcheck;
use crate::clock::milliseconds;

/// Between the first try and the second.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Between two tries at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long an image's own check is tried at least.
const USUAL: Duration = Duration::from_secs(60);

/// How long an image's own check is tried: as long as Docker would at least before it gives the container up.
pub(super) fn patience(check: &Healthcheck) -> Duration {
    let once = check.interval.saturating_add(check.timeout);
    let tries = once.saturating_mul(check.retries);
    check.start_period.saturating_add(tries).max(USUAL)
}

/// The tries of one service.
#[derive(Debug)]
pub(super) struct Health {
    limit: Duration,
    /// `None` is beyond what a clock can tell.
    end: Option<Instant>,
    pause: Duration,
    /// What came of the last try.
    last: Option<String>,
}

impl Health {
    /// The service runs since `now` and may take `limit`.
    pub(super) fn new(limit: Duration, now: Instant) -> Self {
        Self {
            limit,
            end: now.checked_add(limit),
            pause: FIRST_PAUSE,
            last: None,
        }
    }

    /// How long the next try may take at most; `None` when there is no time for one.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        let left = match self.end {
            Some(end) => end.saturating_duration_since(now),
            None => Duration::MAX,
        };
        (!left.is_zero()).then_some(left)
    }

    /// When the time is over.
    pub(super) const fn end(&self) -> Option<Instant> {
        self.end
    }

    /// Notes why a try has failed. When the next one is due, which may be when the time is over.
    pub(super) fn failed(&mut self, why: String, now: Instant) -> Instant {
        self.last = Some(why);
        let next = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.end.map_or(next, |end| next.min(end))
    }

    /// The reason, when the time is over.
    pub(super) fn into_cause(self) -> Cause {
        Cause::NotReady {
            limit_ms: milliseconds(self.limit),
            last: self.last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_become_seldom_and_end_with_the_limit() {
        let start = Instant::now();
        let mut health = Health::new(Duration::from_secs(5), start);
        let mut now = start;
        let mut tries = Vec::new();
        while health.time_left(now).is_some() {
            tries.push((now - start).as_millis());
            now = health.failed("connection refused".to_owned(), now);
        }
        assert_eq!(tries, [0, 100, 300, 700, 1_500, 2_500, 3_500, 4_500]);
        assert_eq!(now, start + Duration::from_secs(5));
        assert_eq!(
            health.into_cause(),
            Cause::NotReady {
                limit_ms: 5_000,
                last: Some("connection refused".to_owned())
            }
        );
    }

    #[test]
    fn a_try_may_take_what_is_left() {
        let start = Instant::now();
        let health = Health::new(Duration::from_secs(5), start);
        let later = start + Duration::from_secs(4);
        assert_eq!(health.time_left(later), Some(Duration::from_secs(1)));
        assert_eq!(health.time_left(start + Duration::from_secs(6)), None);
    }

    #[test]
    fn a_limit_without_an_end_is_none() {
        let start = Instant::now();
        let mut health = Health::new(Duration::MAX, start);
        assert_eq!(health.time_left(start), Some(Duration::MAX));
        assert_eq!(health.failed(String::new(), start), start + FIRST_PAUSE);
    }

    #[test]
    fn an_images_check_has_as_long_as_docker_gives_it() {
        let seconds = Duration::from_secs;
        let check = |interval, start_period| Healthcheck {
            command: vec!["x".to_owned()],
            interval: seconds(interval),
            timeout: seconds(5),
            start_period: seconds(start_period),
            retries: 3,
        };
        assert_eq!(patience(&check(1, 0)), USUAL);
        assert_eq!(patience(&check(30, 120)), seconds(225));
        let endless = Healthcheck {
            interval: Duration::MAX,
            ..check(1, 0)
        };
        assert_eq!(patience(&endless), Duration::MAX);
    }
}
