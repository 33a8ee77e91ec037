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
        // Their archives go with what the attempts have left.
        "DELETE FROM caches WHERE job IN (SELECT id FROM jobs WHERE pipeline = $1)",
        "DELETE FROM events WHERE job IN (SELECT id FROM jobs WHERE pipeline = $1)",
        "DELETE FROM attempts WHERE job IN (SELECT id FROM jobs WHERE pipeline = $1)",
        "DELETE FROM jobs WHERE pipeline = $1",
    ] {
        tx.execute(of_jobs, &[pipeline.into()])?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{Database, Location};

    #[tokio::test]
    async fn a_pipeline_that_is_run_again_at_the_last_moment_keeps_everything() {
        let directory = tempfile::TempDir::new().unwrap();
        let database = Database::open(&Location::Sqlite(directory.path().join("db"))).unwrap();
        let making = database.write(|tx| {
            for sql in [
                "INSERT INTO pipelines (id, repository, trigger_of, variables, priority, state, diagnostics, created_at, finished_at) \
                 VALUES (7, 1, '', '', 0, 'finished', '', 1, 2)",
                "INSERT INTO jobs (id, pipeline, place, name, shape, plan, state, due, created_at) \
                 VALUES (1, 7, 0, '', '', '', 'finished', 0, 1)",
                "INSERT INTO attempts (job, attempt, agent, state, started_at) VALUES (1, 1, 1, 'finished', 1)",
            ] {
                tx.execute(sql, &[])?;
            }
            Ok(())
        });
        making.await.unwrap();
        let looking = database.read(|tx| expired(tx, 1_000, 10));
        assert_eq!(looking.await.unwrap(), [7]);
        let again = |finished_at: Option<u64>, state: &'static str| {
            database.write(move |tx| {
                let sql = "UPDATE pipelines SET state = $1, finished_at = $2";
                Ok(tx.execute(sql, &[state.into(), finished_at.into()])?)
            })
        };
        let forgetting = || database.write(|tx| forget(tx, 7, 1_000));
        let kept = || {
            database.read(|tx| {
                let sql = "SELECT (SELECT COUNT(*) FROM attempts), (SELECT COUNT(*) FROM remains)";
                let row = tx.one(sql, &[])?;
                Ok((row.int(0)?, row.int(1)?))
            })
        };
        // It runs, and is over anew, before who has looked comes to forget it.
        for (finished_at, state) in [
            (None, "running"),
            (Some(i64::MAX.unsigned_abs()), "finished"),
        ] {
            again(finished_at, state).await.unwrap();
            assert!(!forgetting().await.unwrap(), "{state}");
            assert_eq!(kept().await.unwrap(), (1, 0), "{state}");
        }
        again(Some(2), "finished").await.unwrap();
        assert!(forgetting().await.unwrap());
        assert_eq!(kept().await.unwrap(), (0, 1));
    }
}
