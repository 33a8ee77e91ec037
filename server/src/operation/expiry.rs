//! Pipelines that are over for long enough are forgotten, with everything that came of them.

use protocol::service::{AttemptId, JobId};

use crate::database::{OperationError, Row, Transaction};

/// A pipeline whose time is over, and the attempts that have left logs.
#[derive(Debug)]
pub(crate) struct Expired {
    pub(crate) pipeline: i64,
    pub(crate) attempts: Vec<AttemptId>,
}

/// The time by which things are old.
pub(crate) fn now(tx: &mut Transaction<'_>) -> Result<u64, OperationError> {
    Ok(tx.now())
}

/// Whether a pipeline's time is still over: somebody may have let it run again.
pub(crate) fn is_expired(
    tx: &mut Transaction<'_>,
    pipeline: i64,
    keep: u64,
) -> Result<bool, OperationError> {
    let before = tx.now().saturating_sub(keep);
    let row = tx.first(
        "SELECT id FROM pipelines WHERE id = $1 AND state = 'finished' AND finished_at < $2",
        &[pipeline.into(), before.into()],
    )?;
    Ok(row.is_some())
}

/// Some of the pipelines that are over for so long, milliseconds; the oldest first, less some that cannot be forgotten.
pub(crate) fn expired(
    tx: &mut Transaction<'_>,
    keep: u64,
    most: usize,
    less: usize,
) -> Result<Vec<Expired>, OperationError> {
    let before = tx.now().saturating_sub(keep);
    let rows = tx.query(
        "SELECT id FROM pipelines WHERE state = 'finished' AND finished_at < $1 ORDER BY finished_at, id LIMIT $2 OFFSET $3",
        &[before.into(), most.into(), less.into()],
    )?;
    let mut expired = Vec::with_capacity(rows.len());
    for row in &rows {
        let pipeline = row.int(0)?;
        let attempts = tx.query(
            "SELECT a.job, a.attempt FROM attempts a JOIN jobs j ON j.id = a.job WHERE j.pipeline = $1",
            &[pipeline.into()],
        )?;
        let attempt = |row: &Row| {
            Ok(AttemptId {
                job: JobId(row.number(0)?),
                attempt: row.number(1)?,
            })
        };
        let attempts: Result<_, OperationError> = attempts.iter().map(attempt).collect();
        expired.push(Expired {
            pipeline,
            attempts: attempts?,
        });
    }
    Ok(expired)
}

/// Forgets a pipeline, unless somebody has let it run again.
pub(crate) fn forget(
    tx: &mut Transaction<'_>,
    pipeline: i64,
    keep: u64,
) -> Result<(), OperationError> {
    let before = tx.now().saturating_sub(keep);
    let gone = tx.execute(
        "DELETE FROM pipelines WHERE id = $1 AND state = 'finished' AND finished_at < $2",
        &[pipeline.into(), before.into()],
    )?;
    if gone == 0 {
        return Ok(());
    }
    for of_jobs in [
        "DELETE FROM artifacts WHERE job IN (SELECT id FROM jobs WHERE pipeline = $1)",
        "DELETE FROM pieces WHERE job IN (SELECT id FROM jobs WHERE pipeline = $1)",
        "DELETE FROM streams WHERE job IN (SELECT id FROM jobs WHERE pipeline = $1)",
        "DELETE FROM events WHERE job IN (SELECT id FROM jobs WHERE pipeline = $1)",
        "DELETE FROM attempts WHERE job IN (SELECT id FROM jobs WHERE pipeline = $1)",
        "DELETE FROM jobs WHERE pipeline = $1",
    ] {
        tx.execute(of_jobs, &[pipeline.into()])?;
    }
    Ok(())
}
