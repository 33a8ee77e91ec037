//! Limits in time while they count.

use std::time::Duration;

use tokio::time::Instant;

use super::context::until;
use super::stop::Limit;

/// A limit and when it is reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    limit: Limit,
}

impl Deadline {
    /// `length` from now; `None` when that is beyond what a clock can tell.
    pub(super) fn after(length: Duration, of_job: bool) -> Option<Self> {
        Some(Self {
            at: Instant::now().checked_add(length)?,
            limit: Limit { length, of_job },
        })
    }
}

/// Waits until a deadline is reached; for ever if there is none.
pub(super) async fn reached(deadline: Option<Deadline>) -> Limit {
    match deadline {
        Some(deadline) => {
            until(Some(deadline.at)).await;
            deadline.limit
        }
        None => std::future::pending().await,
    }
}
