//! Who waits for what: wakes the task that hands jobs out, and those who follow an attempt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::service::AttemptId;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::News;

/// The waiting. Nobody waits on the lock in it for longer than a look-up takes.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    ready: Notify,
    attempts: Mutex<HashMap<AttemptId, Arc<Notify>>>,
}

impl Signals {
    /// Wakes who waits for it.
    pub(crate) fn wake(&self, news: News) {
        match news {
            News::Ready => self.ready.notify_one(),
            News::Attempt(id) => {
                let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(notify) = attempts.get(&id) {
                    notify.notify_waiters();
                }
            }
        }
    }

    /// Wakes everybody: news may have been missed.
    pub(super) fn wake_all(&self) {
        self.ready.notify_one();
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.values().for_each(|notify| notify.notify_waiters());
    }

    /// Waits until jobs may be ready; news that came since the last wait count.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Starts to follow an attempt.
    pub(crate) fn follow(self: &Arc<Self>, id: AttemptId) -> Follower {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let notify = Arc::clone(attempts.entry(id).or_default());
        Follower {
            signals: Arc::clone(self),
            id,
            notify,
        }
    }
}

/// Somebody who follows an attempt.
#[derive(Debug)]
pub(crate) struct Follower {
    signals: Arc<Signals>,
    id: AttemptId,
    notify: Arc<Notify>,
}

impl Follower {
    /// News from now on: to be asked for before one looks, and awaited when there was nothing.
    pub(crate) fn news(&self) -> OwnedNotified {
        Arc::clone(&self.notify).notified_owned()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut attempts = self
            .signals
            .attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The map's and this one's.
        if Arc::strong_count(&self.notify) <= 2 {
            attempts.remove(&self.id);
        }
    }
}
