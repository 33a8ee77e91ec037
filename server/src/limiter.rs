//! How often somebody may ask: a bucket each that fills with time.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use protocol::service::TokenId;

/// Who is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// A user's token.
    User(TokenId),
    /// Whoever shows no token that counts, by address.
    Stranger(IpAddr),
}

/// What strangers may ask each second: enough for mistakes, too little for guesses.
const STRANGERS: f64 = 10.0;

/// How many buckets there are at most; the fullest ones are forgotten first.
const MOST: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Limiter {
    users: f64,
    buckets: Mutex<HashMap<Who, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Limiter {
    /// Users' tokens may make so many requests a second, and twice as many at once; 0 is without a limit.
    pub(crate) fn new(users: u32) -> Self {
        Self {
            users: f64::from(users),
            buckets: Mutex::new(HashMap::new()),
        }
    }

    /// Counts a request. When it is one too many: how long to wait.
    pub(crate) fn take(&self, who: Who, now: Instant) -> Result<(), Duration> {
        self.ask(who, now, 1.0)
    }

    /// Whether one more would be too many, without counting it.
    pub(crate) fn look(&self, who: Who, now: Instant) -> Result<(), Duration> {
        self.ask(who, now, 0.0)
    }

    fn ask(&self, who: Who, now: Instant, cost: f64) -> Result<(), Duration> {
        let rate = match who {
            Who::User(_) => self.users,
            Who::Stranger(_) => STRANGERS,
        };
        if rate == 0.0 {
            return Ok(());
        }
        let most = rate * 2.0;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST {
            buckets.retain(|_, bucket| now.duration_since(bucket.at) < Duration::from_secs(2));
            if buckets.len() >= MOST {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(who).or_insert(Bucket {
            left: most,
            at: now,
        });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = passed.mul_add(rate, bucket.left).min(most);
        bucket.at = now;
        if bucket.left >= 1.0 {
            bucket.left -= cost;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.left) / rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_fills_with_time_and_each_has_its_own() {
        let limiter = Limiter::new(10);
        let start = Instant::now();
        let (one, two) = (Who::User(TokenId(1)), Who::User(TokenId(2)));
        let taken = (0..50).filter(|_| limiter.take(one, start).is_ok()).count();
        assert_eq!(taken, 20);
        assert!(limiter.take(two, start).is_ok());
        let wait = limiter.take(one, start).unwrap_err();
        assert!(limiter.take(one, start + wait).is_ok());
        assert!(limiter.take(one, start + wait).is_err());
    }

    #[test]
    fn without_a_limit_users_are_not_counted_and_strangers_are() {
        let limiter = Limiter::new(0);
        let start = Instant::now();
        let user = Who::User(TokenId(1));
        assert!((0..1_000).all(|_| limiter.take(user, start).is_ok()));
        let stranger = Who::Stranger(IpAddr::from([127, 0, 0, 1]));
        assert!((0..100).any(|_| limiter.take(stranger, start).is_err()));
    }
}
