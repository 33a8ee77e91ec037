//! One lock a layer, held while it is unpacked or removed, and one an image's record, across processes (`flock(2)`).
//!
//! The kernel lets go when the process dies. The files stay: removing one would let two processes hold "the" lock.

use std::fs::{File, TryLockError};
use std::time::Duration;

use super::Store;
use super::error::{Attempt, StoreError};

/// Held until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Store {
    /// The lock if nobody holds it.
    pub(super) fn try_lock(&self, key: &str) -> Result<Option<Lock>, StoreError> {
        self.try_lock_by(key, File::try_lock)
    }

    /// The lock if nobody holds it alone.
    pub(super) fn try_lock_shared(&self, key: &str) -> Result<Option<Lock>, StoreError> {
        self.try_lock_by(key, File::try_lock_shared)
    }

    fn try_lock_by(
        &self,
        key: &str,
        lock: fn(&File) -> Result<(), TryLockError>,
    ) -> Result<Option<Lock>, StoreError> {
        let path = self.meta.join("locks").join(key);
        let failed = |source| StoreError::new(Attempt::Lock, &path, source);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match lock(&file) {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Waits for the lock; `waiting` is called once if it is held.
    ///
    /// By asking again and again: a blocking `flock` would hold a thread that cannot be cancelled.
    pub(super) async fn lock(&self, key: &str, waiting: impl FnOnce()) -> Result<Lock, StoreError> {
        self.wait_for(key, Self::try_lock, waiting).await
    }

    /// Waits until nobody holds the lock alone: what it is for is made or gone then, and not half of it.
    pub(super) async fn lock_shared(&self, key: &str) -> Result<Lock, StoreError> {
        self.wait_for(key, Self::try_lock_shared, || ()).await
    }

    async fn wait_for(
        &self,
        key: &str,
        lock: fn(&Self, &str) -> Result<Option<Lock>, StoreError>,
        waiting: impl FnOnce(),
    ) -> Result<Lock, StoreError> {
        if let Some(lock) = lock(self, key)? {
            return Ok(lock);
        }
        waiting();
        let mut pause = Duration::from_millis(5);
        loop {
            tokio::time::sleep(pause).await;
            if let Some(lock) = lock(self, key)? {
                return Ok(lock);
            }
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }
}
