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
pub(crate) struct Identities(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: HashMap<[u8; 32], Known>,
    /// How often there was reason to doubt.
    doubts: u64,
}

/// A token that counts, or did.
#[derive(Debug)]
struct Known {
    identity: Identity,
    /// Until when it counts without a question to the database.
    until: Option<Instant>,
}

impl Identities {
    /// Whom the token with this hash stands for; `None` when it does not count.
    pub(crate) async fn of(
        &self,
        database: &Database,
        hash: [u8; 32],
    ) -> Result<Option<Identity>, OperationError> {
        let doubts = {
            let state = self.lock();
            if let Some(known) = state.known.get(&hash)
                && known.until.is_some_and(|until| Instant::now() < until)
            {
                return Ok(Some(known.identity.clone()));
            }
            state.doubts
        };
        let identity = database.read(move |tx| token::identity(tx, hash)).await?;
        let mut state = self.lock();
        // What was asked before somebody had reason to doubt is no answer to that.
        let is_sure = state.doubts == doubts;
        let known = &mut state.known;
        if known.len() >= MOST {
            known.clear();
        }
        match &identity {
            Some(identity) => {
                let identity = identity.clone();
                let until = is_sure.then(|| Instant::now() + REMEMBERED);
                known.insert(hash, Known { identity, until })
            }
            None => known.remove(&hash),
        };
        Ok(identity)
    }

    /// Whether this token has counted some time ago.
    pub(crate) fn has_known(&self, hash: &[u8; 32]) -> bool {
        self.lock().known.contains_key(hash)
    }

    /// Some token does not count any more: the database is asked for each of them once more.
    pub(crate) fn doubt(&self) {
        let mut state = self.lock();
        state.doubts += 1;
        for known in state.known.values_mut() {
            known.until = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
