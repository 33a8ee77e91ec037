//! A job's row as the policy's node.

use std::sync::Arc;

use indexmap::IndexMap;
use pipelines::plan::Job;
use protocol::Conclusion;

use crate::database::{DatabaseError, Row};
use crate::queue::{End, Group, Node, Stopping};

/// From the columns `state, conclusion, cause, allowed, failed, outputs, approved, stopping, stopped_by, attempt, lost`, the group's
/// name and the lane's labels, the first of which is at `from`.
pub(super) fn node_of(row: &Row, from: usize, shape: Arc<Job>) -> Result<Node, DatabaseError> {
    let conclusion: Option<Conclusion> = row.maybe_word(from + 1)?;
    let outputs: Option<IndexMap<String, String>> = row.maybe_json(from + 5)?;
    let cause = row.maybe_json(from + 2)?;
    let cancels = shape
        .concurrency
        .as_ref()
        .is_some_and(|concurrency| concurrency.cancel_in_progress);
    let group = row.maybe_text(from + 11)?.map(|name| Group {
        name: name.to_owned(),
        cancels,
    });
    Ok(Node {
        state: row.word(from)?,
        end: conclusion.map(|conclusion| End {
            conclusion,
            cause,
            outputs: outputs.unwrap_or_default(),
        }),
        allowed: row.is(from + 3)?,
        failed: row.is(from + 4)?,
        approved: row.is(from + 6)?,
        stopping: stopping(row.int(from + 7)?),
        stopped_by: row.maybe_text(from + 8)?.map(str::to_owned),
        group,
        runs_on: row.maybe_json(from + 12)?.unwrap_or_default(),
        attempt: row.number(from + 9)?,
        lost: row.number(from + 10)?,
        changed: false,
        shape,
    })
}

/// As [`Stopping`] is written: its number.
pub(super) const fn stopping(number: i64) -> Stopping {
    match number {
        0 => Stopping::No,
        1 => Stopping::Cancel,
        _ => Stopping::Abort,
    }
}
