use std::sync::atomic::{AtomicU64, Ordering};

use super::Value;
use crate::limits;

/// What evaluating may still cost. A step is a part of an expression that is looked at, or 64 bytes that are copied or
/// compared: well below a microsecond.
///
/// Each expression has one of its own, which no sensible one notices. [`Values::budget`](super::Values::budget) can put
/// a common one over all the expressions of a pipeline, so that a file full of expensive ones is refused as well.
#[derive(Debug)]
pub struct Budget(AtomicU64);

/// The budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent;

/// Bytes that count as one step.
const STEP_BYTES: u64 = 64;

impl Budget {
    /// A number of steps.
    #[must_use]
    pub const fn new(steps: u64) -> Self {
        Self(AtomicU64::new(steps))
    }

    /// Takes steps away; fails when that many are not left, and then every time.
    pub(super) fn spend(&self, steps: u64) -> Result<(), Spent> {
        let subtract = |left: u64| Some(left.saturating_sub(steps));
        let before = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract);
        match before {
            Ok(left) if left > steps => Ok(()),
            _ => Err(Spent),
        }
    }
}

impl Default for Budget {
    /// That of one expression.
    fn default() -> Self {
        Self::new(limits::EXPRESSION_STEPS)
    }
}

/// Steps that copying a number of bytes takes.
pub(super) fn bytes(count: usize) -> u64 {
    count as u64 / STEP_BYTES
}

/// Steps that copying a value takes, or comparing it.
pub(super) fn weight(value: &Value) -> u64 {
    1 + match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 0,
        Value::Text(text) => bytes(text.len()),
        Value::List(items) => items.iter().map(weight).sum(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, value)| bytes(key.len()) + weight(value))
            .sum(),
    }
}
