//! Who waits for what: wakes the task that hands jobs out, and those who follow an attempt or a pipeline.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::News;

/// The waiting. Nobody waits on the lock in it for longer than a look-up takes.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    ready: Notify,
    followed: Mutex<HashMap<News, Arc<Notify>>>,
}

impl Signals {
    /// Wakes who waits for it.
    pub(crate) fn wake(&self, news: News) {
        match news {
            News::Ready => self.ready.notify_one(),
            News::Attempt(_) | News::Pipeline(_) => {
                let followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(notify) = followed.get(&news) {
                    notify.notify_waiters();
                }
            }
        }
    }

    /// Wakes everybody: news may have been missed.
    pub(super) fn wake_all(&self) {
        self.ready.notify_one();
        let followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.values().for_each(|notify| notify.notify_waiters());
    }

    /// Waits until jobs may be ready; news that came since the last wait count.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Starts to follow an attempt or a pipeline.
    pub(crate) fn follow(self: &Arc<Self>, of: News) -> Follower {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let notify = Arc::clone(followed.entry(of).or_default());
        Follower {
            signals: Arc::clone(self),
            of,
            notify,
        }
    }
}

/// Somebody who follows something.
#[derive(Debug)]
pub(crate) struct Follower {
    signals: Arc<Signals>,
    of: News,
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
        let mut followed = self
            .signals
            .followed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The map's and this one's.
        if Arc::strong_count(&self.notify) <= 2 {
            followed.remove(&self.of);
        }
    }
}
