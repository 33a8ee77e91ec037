//! What many ask at the same moment is read once.
//!
//! Who asks is answered with something that began to be read behind its question, so nobody is shown less than it may know of:
//! those who come while somebody reads share the next reading, however many they are.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Readings by what is read, and how many ask for each.
#[derive(Debug)]
pub(crate) struct Once<K, V> {
    slots: Mutex<HashMap<K, Asked<V>>>,
}

/// How many ask, and what for.
type Asked<V> = (usize, Arc<Slot<V>>);

/// The last reading, and when it began.
type Slot<V> = tokio::sync::Mutex<Option<(Instant, V)>>;

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Once<K, V> {
    /// Reads, or is told what somebody else has read since.
    pub(crate) async fn read<E>(
        &self,
        of: K,
        read: impl AsyncFnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        let asked = Instant::now();
        let asking = Asking::begin(self, of);
        let mut last = asking.slot.lock().await;
        if let Some((began, value)) = &*last
            && *began >= asked
        {
            return Ok(value.clone());
        }
        let began = Instant::now();
        let value = read().await?;
        *last = Some((began, value.clone()));
        Ok(value)
    }
}

/// Somebody who asks: with the last of them what was read is forgotten.
struct Asking<'o, K: Eq + Hash, V> {
    once: &'o Once<K, V>,
    slot: Arc<Slot<V>>,
    of: K,
}

impl<'o, K: Eq + Hash + Clone, V> Asking<'o, K, V> {
    fn begin(once: &'o Once<K, V>, of: K) -> Self {
        let mut slots = once.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, slot) = slots.entry(of.clone()).or_default();
        *count += 1;
        let slot = Arc::clone(slot);
        Self { once, slot, of }
    }
}

impl<K: Eq + Hash, V> Drop for Asking<'_, K, V> {
    fn drop(&mut self) {
        let slots = self.once.slots.lock();
        let mut slots = slots.unwrap_or_else(PoisonError::into_inner);
        if let Some((count, _)) = slots.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                slots.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_are_answered_by_two_readings_and_none_by_one_that_began_before() {
        let once: Arc<Once<u32, u32>> = Arc::default();
        let readings = Arc::new(AtomicU32::new(0));
        let (open, opened) = tokio::sync::watch::channel(false);
        let ask = || {
            let (once, readings, mut opened) =
                (Arc::clone(&once), Arc::clone(&readings), opened.clone());
            async move {
                once.read(7, async || {
                    let number = readings.fetch_add(1, Ordering::SeqCst) + 1;
                    opened.wait_for(|open| *open).await.unwrap();
                    Ok::<u32, ()>(number)
                })
                .await
            }
        };
        let first = tokio::spawn(ask());
        while readings.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (0..50).map(|_| tokio::spawn(ask())).collect();
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        open.send_replace(true);
        assert_eq!(first.await.unwrap(), Ok(1));
        for other in others {
            assert_eq!(other.await.unwrap(), Ok(2));
        }
        // Who asks later has a reading of its own, and nothing stays.
        assert_eq!(ask().await, Ok(3));
        assert!(once.slots.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_fails_fails_alone() {
        let once: Once<u32, u32> = Once::default();
        assert_eq!(once.read(1, async || Err("away")).await, Err("away"));
        assert_eq!(once.read(1, async || Ok::<_, ()>(5)).await, Ok(5));
    }
}
