//! Pipelines that are over for long enough are forgotten, with everything that came of them.

use protocol::service::{AttemptId, JobId};

use super::artifact;
use super::remains::{self, What};
use crate::database::{OperationError, Transaction};

/// The time by which things are old.
pub(crate) fn now(tx: &mut Transaction<'_>) -> Result<u64, OperationError> {
    Ok(tx.now())
}

/// Some of the pipelines that are over for so long, milliseconds; the oldest first.
pub(crate) fn expired(
    tx: &mut Transaction<'_>,
    keep: u64,
    most: usize,
) -> Result<Vec<i64>, OperationError> {
    let before = tx.now().saturating_sub(keep);
    let rows = tx.query(
        "SELECT id FROM pipelines WHERE state = 'finished' AND finished_at < $1 ORDER BY finished_at, id LIMIT $2",
        &[before.into(), most.into()],
    )?;
    rows.iter().map(|row| Ok(row.int(0)?)).collect()
}

/// Forgets a pipeline, and notes what it has left, unless somebody has let it run again: this is decided here, at once. Whether it
/// was.
pub(crate) fn forget(
    tx: &mut Transaction<'_>,
    pipeline: i64,
    keep: u64,
) -> Result<bool, OperationError> {
    let before = tx.now().saturating_sub(keep);
    let gone = tx.execute(
        "DELETE FROM pipelines WHERE id = $1 AND state = 'finished' AND finished_at < $2",
        &[pipeline.into(), before.into()],
    )?;
    if gone == 0 {
        return Ok(false);
    }
    let attempts = tx.query(
        "SELECT a.job, a.attempt FROM attempts a JOIN jobs j ON j.id = a.job WHERE j.pipeline = $1",
        &[pipeline.into()],
    )?;
    for row in &attempts {
        let id = AttemptId {
            job: JobId(row.number(0)?),
            attempt: row.number(1)?,
        };
        remains::note(tx, id, &What::Attempt)?;
    }
    artifact::forget(tx, pipeline)?;
    // Where objects are their rows know: those go behind the objects.
    for of_jobs in [
        "DELETE FROM events WHERE job IN (SELECT id FROM jobs WHERE pipeline = $1)",
        "DELETE FROM attempts WHERE job IN (SELECT id FROM jobs WHERE pipeline = $1)",
        "DELETE FROM jobs WHERE pipeline = $1",
    ] {
        tx.execute(of_jobs, &[pipeline.into()])?;
    }
    Ok(true)
}
