//! Pipelines that are over for long enough are forgotten, with everything that came of them.

use protocol::service::{AttemptId, JobId};

use crate::database::{OperationError, Row, Transaction};

/// A pipeline whose time is over, and the attempts that have left logs.
#[derive(Debug)]
pub(crate) struct Expired {
    pub(crate) pipeline: i64,
    pub(crate) attempts: Vec<AttemptId>,
}

/// Some of the pipelines that are over for so long, milliseconds; the oldest first.
pub(crate) fn expired(
    tx: &mut Transaction<'_>,
    keep: u64,
    most: usize,
) -> Result<Vec<Expired>, OperationError> {
    let before = tx.now().saturating_sub(keep);
    let rows = tx.query(
        "SELECT id FROM pipelines WHERE state = 'finished' AND finished_at < $1 ORDER BY finished_at LIMIT $2",
        &[before.into(), most.into()],
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
pub(crate) fn forget(tx: &mut Transaction<'_>, pipeline: i64) -> Result<(), OperationError> {
    let gone = tx.execute(
        "DELETE FROM pipelines WHERE id = $1 AND state = 'finished'",
        &[pipeline.into()],
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
