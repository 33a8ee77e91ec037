//! Who writes to an attempt, and who brings it to an end or removes something of it.
//!
//! Whether an attempt may be written to is asked of the database, and then it is written. What is removed in between, because the
//! database has decided otherwise meanwhile, would be made again; and what was thrown away while an end of the attempt was on its
//! way to the database would lack for ever. So who writes comes in first, asks then, and goes out when it is done; who ends or
//! removes is alone, from before it asks until the database has answered.
//!
//! Each attempt has a gate of its own, so nobody waits for a stranger. Nobody goes through a second one while it is in a first, nor
//! does the database wait for any: so nobody waits in a circle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use protocol::service::AttemptId;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Gates of so many attempts are kept before it is looked which nobody needs any more.
const FEW: usize = 64;

/// Gates for all attempts. Cloning is cheap.
#[derive(Debug, Clone)]
pub(super) struct Gates(Arc<Mutex<Known>>);

/// Those that somebody is in, or waits for, and some that nobody does any more.
#[derive(Debug)]
struct Known {
    gates: HashMap<AttemptId, Weak<RwLock<()>>>,
    /// With so many it is looked which are not needed.
    many: usize,
}

impl Gates {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Known {
            gates: HashMap::new(),
            many: FEW,
        })))
    }

    fn of(&self, id: AttemptId) -> Arc<RwLock<()>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = known.gates.get(&id).and_then(Weak::upgrade) {
            return gate;
        }
        if known.gates.len() >= known.many {
            known.gates.retain(|_, gate| gate.strong_count() > 0);
            known.many = FEW.max(2 * known.gates.len());
        }
        let gate = Arc::default();
        known.gates.insert(id, Arc::downgrade(&gate));
        gate
    }

    pub(super) async fn enter(&self, id: AttemptId) -> OwnedRwLockReadGuard<()> {
        self.of(id).read_owned().await
    }

    pub(super) async fn alone(&self, id: AttemptId) -> OwnedRwLockWriteGuard<()> {
        self.of(id).write_owned().await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use protocol::service::JobId;

    use super::*;

    fn id(job: u64) -> AttemptId {
        AttemptId {
            job: JobId(job),
            attempt: 1,
        }
    }

    #[test]
    fn who_is_alone_keeps_nobody_of_another_attempt_out() {
        let gates = Gates::new();
        let entered = gates.enter(id(0)).now_or_never().unwrap();
        assert!(gates.enter(id(0)).now_or_never().is_some());
        assert!(gates.alone(id(0)).now_or_never().is_none());
        // The waiting one, too, stops only those of its attempt.
        let mut waiting = Box::pin(gates.alone(id(0)));
        assert!((&mut waiting).now_or_never().is_none());
        for other in 1..1_000 {
            assert!(gates.enter(id(other)).now_or_never().is_some(), "{other}");
        }
        drop(entered);
        let alone = waiting.now_or_never().unwrap();
        assert!(gates.enter(id(0)).now_or_never().is_none());
        drop(alone);
        assert!(gates.enter(id(0)).now_or_never().is_some());
    }

    #[test]
    fn gates_that_nobody_needs_are_forgotten_and_the_others_are_not() {
        let gates = Gates::new();
        let _alone = gates.alone(id(0)).now_or_never().unwrap();
        for other in 1..10_000 {
            drop(gates.enter(id(other)).now_or_never().unwrap());
        }
        assert!(gates.0.lock().unwrap().gates.len() <= FEW);
        assert!(gates.enter(id(0)).now_or_never().is_none());
    }
}
