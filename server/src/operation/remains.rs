//! What is to be removed from the storage.
//!
//! ```text
//! a transaction decides that something is not kept --note--> remains --claim--> somebody removes it --removed--> once more, later --> gone
//!                                                               ^-- in vain: again, later and later --'
//! ```
//! The database decides, and what the storage has follows: whoever dies between the two leaves a row that somebody takes up. What
//! cannot be removed now stands in nobody's way.
//!
//! Servers whose clocks differ agree about when it is time: it is by the clock of the database, or of the one server that has it.

use std::time::Duration;

use protocol::service::{AttemptId, JobId, StreamName};

use crate::database::{DatabaseError, Dialect, OperationError, Transaction, skipping};

/// What of an attempt is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// Everything: it is forgotten.
    Attempt,
    /// All archives: it came to no end.
    Artifacts,
    /// One stream.
    Stream(StreamName),
}

/// Something to be removed, by whom it was given to.
#[derive(Debug, Clone)]
pub(crate) struct Remains {
    pub(crate) id: AttemptId,
    pub(crate) what: What,
    /// Which time it was given to somebody; who was given it later is at it instead.
    claim: u64,
    /// It was removed before, so long ago that nobody was on the way any more who would write.
    again: bool,
}

/// How many are given to somebody at once.
const BATCH: i64 = 100;

/// How long nobody else is given what somebody was given, milliseconds; it doubles with each time.
const PAUSE: u64 = 30_000;

/// It does not double more often.
const DOUBLINGS: u64 = 7;

impl What {
    fn to_text(&self) -> String {
        match self {
            Self::Attempt => "attempt".to_owned(),
            Self::Artifacts => "artifacts".to_owned(),
            Self::Stream(name) => name.to_string(),
        }
    }

    /// `None` is from a newer server.
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "attempt" => Self::Attempt,
            "artifacts" => Self::Artifacts,
            name => Self::Stream(name.parse().ok()?),
        })
    }
}

/// Unix milliseconds, the same for all servers.
fn now(tx: &mut Transaction<'_>) -> Result<u64, DatabaseError> {
    match tx.dialect() {
        Dialect::Sqlite => Ok(tx.now()),
        Dialect::Postgres => {
            let sql = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
            tx.one(sql, &[])?.number(0)
        }
    }
}

/// Nothing waits for so long, milliseconds: a clock was ahead that said so.
const FAR: u64 = 30 * 24 * 60 * 60 * 1_000;

/// A server starts. Where it is the only one of its database nobody is on the way any more, and its clock may have been another one;
/// where it is not, that of the database may have been.
pub(crate) fn start(tx: &mut Transaction<'_>) -> Result<(), OperationError> {
    let far = match tx.dialect() {
        Dialect::Sqlite => 0,
        Dialect::Postgres => now(tx)?.saturating_add(FAR),
    };
    tx.execute("UPDATE remains SET due = 0 WHERE due > $1", &[far.into()])?;
    Ok(())
}

/// Notes that something is not kept any more.
pub(crate) fn note(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    what: &What,
) -> Result<(), DatabaseError> {
    tx.execute(
        "INSERT INTO remains (job, attempt, what, due) VALUES ($1, $2, $3, 0) \
         ON CONFLICT (job, attempt, what) DO UPDATE SET due = excluded.due, tries = 0, removed = 0",
        &[id.job.0.into(), id.attempt.into(), what.to_text().into()],
    )?;
    Ok(())
}

/// Whether there is something to do.
pub(crate) fn is_due(tx: &mut Transaction<'_>) -> Result<bool, OperationError> {
    let now = now(tx)?;
    let row = tx.first(
        "SELECT 1 FROM remains WHERE due <= $1 LIMIT 1",
        &[now.into()],
    )?;
    Ok(row.is_some())
}

/// Gives some to who asks. Nobody else is given them for a while.
pub(crate) fn claim(tx: &mut Transaction<'_>) -> Result<Vec<Remains>, OperationError> {
    let now = now(tx)?;
    let sql = skipping!(
        tx,
        "SELECT job, attempt, what, tries, removed FROM remains WHERE due <= $1 ORDER BY due LIMIT $2"
    );
    let rows = tx.query(sql, &[now.into(), BATCH.into()])?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = AttemptId {
            job: JobId(row.number(0)?),
            attempt: row.number(1)?,
        };
        let tries: u64 = row.number(3)?;
        let next = now.saturating_add(PAUSE << tries.min(DOUBLINGS));
        tx.execute(
            "UPDATE remains SET due = $4, tries = $5 WHERE job = $1 AND attempt = $2 AND what = $3",
            &[
                id.job.0.into(),
                id.attempt.into(),
                row.text(2)?.into(),
                next.into(),
                (tries + 1).into(),
            ],
        )?;
        let again = row.is(4)?;
        claimed.extend(What::parse(row.text(2)?).map(|what| Remains {
            id,
            what,
            claim: tries + 1,
            again,
        }));
    }
    Ok(claimed)
}

/// It was removed. What somebody was about to write meanwhile is removed in so long, and then it is gone. From who was so slow that
/// somebody else was given it nothing is heard.
pub(crate) fn removed(
    tx: &mut Transaction<'_>,
    remains: &Remains,
    once_more: Duration,
) -> Result<(), OperationError> {
    let Remains { id, what, .. } = remains;
    let of = [id.job.0.into(), id.attempt.into(), what.to_text().into()];
    let mut row = of.to_vec();
    row.push(remains.claim.into());
    let is_heard = match remains.again {
        true => tx.execute(
            "DELETE FROM remains WHERE job = $1 AND attempt = $2 AND what = $3 AND tries = $4 AND removed = 1",
            &row,
        )?,
        false => {
            let again = u64::try_from(once_more.as_millis()).unwrap_or(u64::MAX);
            row.push(now(tx)?.saturating_add(again).into());
            tx.execute(
                "UPDATE remains SET removed = 1, tries = 0, due = $5 \
                 WHERE job = $1 AND attempt = $2 AND what = $3 AND tries = $4 AND removed = 0",
                &row,
            )?
        }
    };
    if is_heard == 0 {
        return Ok(());
    }
    forget_rows(tx, *id, what)
}

/// The rows of what is not there any more go behind it.
fn forget_rows(tx: &mut Transaction<'_>, id: AttemptId, what: &What) -> Result<(), OperationError> {
    let mut of = vec![id.job.0.into(), id.attempt.into()];
    let rows = match what {
        What::Attempt => [
            "DELETE FROM pieces WHERE job = $1 AND attempt = $2",
            "DELETE FROM blocks WHERE job = $1 AND attempt = $2",
            "DELETE FROM streams WHERE job = $1 AND attempt = $2",
        ],
        What::Artifacts => [
            "DELETE FROM pieces WHERE job = $1 AND attempt = $2 AND (name LIKE 'artifact-%' OR name LIKE 'cache-%')",
            "DELETE FROM blocks WHERE job = $1 AND attempt = $2 AND (name LIKE 'artifact-%' OR name LIKE 'cache-%')",
            "DELETE FROM streams WHERE job = $1 AND attempt = $2 AND (name LIKE 'artifact-%' OR name LIKE 'cache-%')",
        ],
        What::Stream(_) => {
            of.push(what.to_text().into());
            [
                "DELETE FROM pieces WHERE job = $1 AND attempt = $2 AND name = $3",
                "DELETE FROM blocks WHERE job = $1 AND attempt = $2 AND name = $3",
                "DELETE FROM streams WHERE job = $1 AND attempt = $2 AND name = $3",
            ]
        }
    };
    for rows in rows {
        tx.later(rows, &of)?;
    }
    Ok(())
}

/// How many are counted at most.
const COUNTED: i64 = 100_000;

/// How many are there that nobody has removed yet.
pub(crate) fn count(tx: &mut Transaction<'_>) -> Result<i64, DatabaseError> {
    let row = tx.one(
        "SELECT COUNT(*) FROM (SELECT 1 FROM remains WHERE removed = 0 LIMIT $1) AS left_ones",
        &[COUNTED.into()],
    )?;
    row.int(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{Database, Location};

    fn id(job: u64) -> AttemptId {
        AttemptId {
            job: JobId(job),
            attempt: 1,
        }
    }

    #[tokio::test]
    async fn a_clock_that_was_ahead_holds_nothing_up_behind_the_next_start() {
        let directory = tempfile::TempDir::new().unwrap();
        let database = Database::open(&Location::Sqlite(directory.path().join("db"))).unwrap();
        let note_one = database.write(|tx| {
            note(tx, id(1), &What::Artifacts)?;
            let ahead = tx.now() + 7_200_000;
            tx.execute("UPDATE remains SET due = $1", &[ahead.into()])?;
            Ok(())
        });
        note_one.await.unwrap();
        assert!(!database.read(is_due).await.unwrap());
        database.write(start).await.unwrap();
        assert!(database.read(is_due).await.unwrap());
    }

    #[tokio::test]
    async fn from_who_was_too_slow_nothing_is_heard() {
        let directory = tempfile::TempDir::new().unwrap();
        let database = Database::open(&Location::Sqlite(directory.path().join("db"))).unwrap();
        let claims = database.write(|tx| {
            note(tx, id(1), &What::Artifacts)?;
            let first = claim(tx)?.remove(0);
            tx.execute("UPDATE remains SET due = 0", &[])?;
            let second = claim(tx)?.remove(0);
            Ok((first, second))
        });
        let (slow, fast) = claims.await.unwrap();
        let hour = Duration::from_secs(3_600);
        let both = database.write(move |tx| {
            removed(tx, &fast, hour)?;
            removed(tx, &slow, hour)?;
            let row = tx.one("SELECT COUNT(*), MIN(removed) FROM remains", &[])?;
            Ok((row.int(0)?, row.int(1)?, is_due(tx)?))
        });
        // It is removed once more, in an hour.
        assert_eq!(both.await.unwrap(), (1, 1, false));
    }

    #[tokio::test]
    async fn what_cannot_be_removed_stands_in_nobodys_way() {
        let directory = tempfile::TempDir::new().unwrap();
        let database = Database::open(&Location::Sqlite(directory.path().join("db"))).unwrap();
        let stuck = u64::try_from(BATCH).unwrap();
        let note_all = database.write(move |tx| {
            (0..=stuck).try_for_each(|job| note(tx, id(job), &What::Attempt))?;
            Ok(())
        });
        note_all.await.unwrap();
        let first = database.write(claim).await.unwrap();
        assert_eq!(first.len() as u64, stuck);
        // None of them could be removed: the next one is given all the same, and they are not given again at once.
        let next = database.write(claim).await.unwrap();
        assert_eq!(next.len(), 1);
        let last = next[0].clone();
        let done = last.clone();
        let twice = database.write(move |tx| removed(tx, &done, Duration::ZERO));
        twice.await.unwrap();
        let again = database.write(claim).await.unwrap();
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].id, &again[0].what), (last.id, &last.what));
        assert_eq!((again[0].again, last.again), (true, false));
        let last = again[0].clone();
        let done = database.write(move |tx| removed(tx, &last, Duration::ZERO));
        done.await.unwrap();
        let left = database.read(|tx| {
            let row = tx.one("SELECT COUNT(*), MIN(tries) FROM remains", &[])?;
            Ok((row.int(0)?, row.int(1)?))
        });
        assert_eq!(left.await.unwrap(), (BATCH, 1));
        assert!(!database.read(is_due).await.unwrap());
    }
}
