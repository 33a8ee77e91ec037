//! News of a pull, layer by layer, as one sum for the executor.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use runtime::store::Progress;

use crate::backend::{ImageProgress, ProgressFn};
use crate::chain::chain;

/// Adds up the layers of one image.
pub(crate) struct Relay<'a> {
    image: &'a str,
    to: ProgressFn<'a>,
    sums: Mutex<Sums>,
}

#[derive(Default)]
struct Sums {
    received: HashMap<String, u64>,
    total: Option<u64>,
}

impl<'a> Relay<'a> {
    pub(crate) fn new(image: &'a str, to: ProgressFn<'a>) -> Self {
        Self {
            image,
            to,
            sums: Mutex::default(),
        }
    }

    pub(crate) fn pass_on(&self, news: Progress<'_>) {
        match news {
            Progress::Resolved { bytes, .. } => self.lock().total = Some(bytes),
            Progress::Fetching { layer, done, .. } => {
                let mut sums = self.lock();
                sums.received.insert(layer.to_owned(), done);
                let bytes = sums.received.values().sum();
                let total = sums.total;
                drop(sums);
                (self.to)(ImageProgress::Received { bytes, total });
            }
            // Waiting, unpacked, and whatever the store will tell one day: not for the executor.
            news => {
                if let Some(text) = warning(self.image, &news) {
                    (self.to)(ImageProgress::Warning(text));
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sentence for news that are a warning.
pub(super) fn warning(image: &str, news: &Progress<'_>) -> Option<String> {
    match news {
        Progress::Stale { error } => Some(format!(
            "The image `{image}` is the one last pulled: {}.",
            chain(error)
        )),
        Progress::Foreign {
            image: made_for,
            host,
        } => Some(format!(
            "The image `{image}` is made for {made_for}, this machine is {host}."
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_added_up() {
        let seen = Mutex::new(Vec::new());
        let to = |news| seen.lock().unwrap().push(news);
        let relay = Relay::new("debian", &to);
        relay.pass_on(Progress::Resolved {
            layers: 2,
            missing: 2,
            bytes: 30,
        });
        for (layer, done, total) in [("a", 5, 10), ("b", 7, 20), ("a", 10, 10)] {
            relay.pass_on(Progress::Fetching { layer, done, total });
        }
        let received = |bytes| ImageProgress::Received {
            bytes,
            total: Some(30),
        };
        assert_eq!(*seen.lock().unwrap(), [5, 12, 17].map(received));
    }
}
