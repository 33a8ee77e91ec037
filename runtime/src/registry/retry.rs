//! When to try again: a pure policy. Exponential pauses, the server's own wish when it has one, an end.

use std::time::{Duration, SystemTime};

use super::settings::Timing;

/// The attempts of one request.
#[derive(Debug)]
pub(super) struct Retry {
    timing: Timing,
    made: u32,
}

impl Retry {
    pub(super) fn new(timing: Timing) -> Self {
        Self { timing, made: 1 }
    }

    /// How long to pause before the next attempt; `None` when there is to be none.
    pub(super) fn next(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        if self.made >= self.timing.attempts {
            return None;
        }
        let pause = retry_after.unwrap_or_else(|| {
            self.timing
                .first_pause
                .saturating_mul(1 << (self.made - 1).min(16))
        });
        self.made += 1;
        match retry_after {
            Some(wish) if wish > self.timing.longest_pause => None,
            _ => Some(pause.min(self.timing.longest_pause)),
        }
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        connect: Duration::ZERO,
        idle: Duration::ZERO,
        document: Duration::ZERO,
        window: Duration::ZERO,
        attempts: 4,
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(3),
    };

    #[test]
    fn pauses_grow_up_to_a_bound_and_then_end() {
        let mut retry = Retry::new(TIMING);
        let pauses: Vec<_> = std::iter::from_fn(|| retry.next(None))
            .map(|p| p.as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 3]);
    }

    #[test]
    fn the_server_is_obeyed_or_given_up() {
        let mut retry = Retry::new(TIMING);
        assert_eq!(retry.next(Some(Duration::ZERO)), Some(Duration::ZERO));
        assert_eq!(
            retry.next(Some(Duration::from_secs(2))),
            Some(Duration::from_secs(2))
        );
        assert_eq!(retry.next(Some(Duration::from_secs(60))), None);
    }

    #[test]
    fn a_date_is_a_wait_too() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:50:07 GMT", now),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("soon", now), None);
    }
}
