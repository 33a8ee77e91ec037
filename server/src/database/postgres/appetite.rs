//! How many operations share a transaction: many, as long as they do not get into the way of another connection's.
//!
//! What a transaction has locked it keeps until its end. Operations of two servers on the same pipelines would wait for each other,
//! and for each other's whole batches; so who meets somebody else takes less at once for a while.

/// Operations of one transaction at most.
const MOST: usize = 64;

/// Of one connection.
#[derive(Debug)]
pub(super) struct Appetite {
    now: usize,
}

impl Appetite {
    pub(super) const fn new() -> Self {
        Self { now: MOST }
    }

    /// How many operations the next transaction may have.
    pub(super) const fn most(&self) -> usize {
        self.now
    }

    /// A batch was committed.
    pub(super) fn fed(&mut self) {
        self.now = (self.now + 1 + self.now / 8).min(MOST);
    }

    /// A batch was given up because of somebody else.
    pub(super) fn spoiled(&mut self) {
        self.now = (self.now / 4).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_meets_others_takes_one_at_a_time_and_more_again_later() {
        let mut appetite = Appetite::new();
        assert_eq!(appetite.most(), MOST);
        for _ in 0..4 {
            appetite.spoiled();
        }
        assert_eq!(appetite.most(), 1);
        appetite.fed();
        assert_eq!(appetite.most(), 2);
        for _ in 0..40 {
            appetite.fed();
        }
        assert_eq!(appetite.most(), MOST);
    }
}
