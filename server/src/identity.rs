//! Who a token stands for, remembered for a moment: every request asks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::database::{Database, OperationError};
use crate::operation::token::{self, Identity};

/// How long a token that was revoked on another server may still count here.
const REMEMBERED: Duration = Duration::from_secs(5);

/// How many are remembered.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Identities {
    known: Mutex<HashMap<[u8; 32], (Identity, Instant)>>,
}

impl Identities {
    /// Whom the token with this hash stands for; `None` when it does not count.
    pub(crate) async fn of(
        &self,
        database: &Database,
        hash: [u8; 32],
    ) -> Result<Option<Identity>, OperationError> {
        if let Some((identity, since)) = self.lock().get(&hash)
            && since.elapsed() < REMEMBERED
        {
            return Ok(Some(identity.clone()));
        }
        let identity = database.read(move |tx| token::identity(tx, hash)).await?;
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        match &identity {
            Some(identity) => known.insert(hash, (identity.clone(), Instant::now())),
            None => known.remove(&hash),
        };
        Ok(identity)
    }

    /// Whether this token has counted some time ago.
    pub(crate) fn has_known(&self, hash: &[u8; 32]) -> bool {
        self.lock().contains_key(hash)
    }

    /// Some token does not count any more.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], (Identity, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
