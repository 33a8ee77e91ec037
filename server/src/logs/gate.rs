//! Who writes to an attempt, and who removes something of it.
//!
//! Whether an attempt may be written to is asked of the database, and then it is written. What is removed in between, because the
//! database has decided otherwise meanwhile, would be made again. So who writes comes in first, asks then, and goes out when it
//! is done; who removes waits until all have gone who came in before.

use std::sync::Arc;

use protocol::service::AttemptId;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Attempts share them: few are removed from, and nobody stays for long.
const GATES: usize = 64;

/// Gates for all attempts. Cloning is cheap.
#[derive(Debug, Clone)]
pub(super) struct Gates(Arc<[Arc<RwLock<()>>; GATES]>);

impl Gates {
    pub(super) fn new() -> Self {
        Self(Arc::new(std::array::from_fn(|_| Arc::default())))
    }

    fn of(&self, id: AttemptId) -> Arc<RwLock<()>> {
        let number = id.job.0.wrapping_add(id.attempt.into()) % GATES as u64;
        Arc::clone(&self.0[usize::try_from(number).unwrap_or_default()])
    }

    pub(super) async fn enter(&self, id: AttemptId) -> OwnedRwLockReadGuard<()> {
        self.of(id).read_owned().await
    }

    pub(super) async fn alone(&self, id: AttemptId) -> OwnedRwLockWriteGuard<()> {
        self.of(id).write_owned().await
    }
}
