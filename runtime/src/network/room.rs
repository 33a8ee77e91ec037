//! How many sockets a process has for the connections of containers: for all of its pods together, and shared so that whoever
//! takes many leaves some for others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, getrlimit};

/// Descriptors that are for everything else a process does.
const RESERVE: u64 = 512;
/// Of a connection: one socket to each side.
const EACH: u64 = 2;
/// However many descriptors there are. A connection takes some ten KiB of a process, and more of the kernel.
const MOST: usize = 32_768;
/// Whose share is so many times what is free gets no more: one alone can have eight ninths of all, two of them eight
/// seventeenths each, and there is always something left (a "dynamic threshold", Choudhury and Hahne, 1998).
const GREED: usize = 8;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// So many there can be: of what a process may have open (getrlimit(2)).
fn all() -> usize {
    let open = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let places = open.saturating_sub(RESERVE) / EACH;
    usize::try_from(places).map_or(MOST, |places| places.min(MOST))
}

/// What one container, or one published port, has of them.
#[derive(Debug, Default)]
pub(super) struct Share(Arc<AtomicUsize>);

impl Share {
    /// A place for one more connection; `None` while others come first.
    pub(super) fn take(&self) -> Option<Place> {
        let free = all().saturating_sub(TAKEN.load(Ordering::Relaxed));
        if !may_take(self.0.load(Ordering::Relaxed), free) {
            return None;
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        // Several may take the last one at the same time: the reserve is larger than the number of threads.
        TAKEN.fetch_add(1, Ordering::Relaxed);
        Some(Place(Arc::clone(&self.0)))
    }
}

const fn may_take(share: usize, free: usize) -> bool {
    share < free.saturating_mul(GREED)
}

/// Room for a connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        TAKEN.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Share, may_take};

    /// How many each of those gets who take whatever they can, one after the other.
    fn shares(all: usize, of: usize) -> Vec<usize> {
        let mut shares = vec![0; of];
        loop {
            let before = shares.clone();
            for index in 0..of {
                let free = all - shares.iter().sum::<usize>();
                shares[index] += usize::from(may_take(shares[index], free));
            }
            if shares == before {
                return shares;
            }
        }
    }

    #[test]
    fn whoever_takes_everything_leaves_something_for_others() {
        assert_eq!(shares(9744, 1), [8662]);
        assert_eq!(shares(9744, 2), [4586, 4585]);
        let of_many = shares(9744, 50);
        assert!(of_many[0] - of_many[49] <= 1);
        assert!(of_many.iter().sum::<usize>() < 9744);
    }

    #[test]
    fn a_place_that_is_given_back_is_free() {
        let share = Share::default();
        let places: Vec<_> = (0..8).map_while(|_| share.take()).collect();
        assert_eq!(places.len(), 8);
        drop(places);
        assert_eq!(share.0.load(std::sync::atomic::Ordering::Relaxed), 0);
    }
}
