//! How many bytes of artifacts each repository has, and what goes when it has too many.
//!
//! ```text
//! a job leaves some: +bytes --.
//! one expires: -bytes --------+--> rows that add up --fold--> one row a repository
//! a pipeline is forgotten: - -'
//! ```
//! A row is written by the transaction that adds something or takes it away, and by none that finds that somebody else has: so the
//! sum is what there is. Nobody who leaves something waits for somebody else of the same repository, and what goes goes later, in
//! steps ([`room`](crate::room)).

use super::artifact;
use crate::database::{DatabaseError, OperationError, Transaction};

/// With more rows than so many those of a repository are made one.
const ROWS: i64 = 16;

/// Artifacts that go in one step.
const STEP: i64 = 100;

/// A repository has so many bytes more, or fewer.
pub(super) fn add(
    tx: &mut Transaction<'_>,
    repository: i64,
    bytes: i64,
) -> Result<(), DatabaseError> {
    if bytes == 0 {
        return Ok(());
    }
    tx.later(
        "INSERT INTO artifact_bytes (repository, bytes) VALUES ($1, $2)",
        &[repository.into(), bytes.into()],
    )
}

/// The sum's sign is told by who takes away.
pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Repositories that have more than so many bytes, and those whose rows are many.
pub(crate) fn to_see_to(
    tx: &mut Transaction<'_>,
    most: Option<u64>,
) -> Result<Vec<i64>, OperationError> {
    let most = most.map_or(i64::MAX, signed);
    let rows = tx.query(
        "SELECT repository FROM artifact_bytes GROUP BY repository \
         HAVING COUNT(*) > $1 OR CAST(SUM(bytes) AS BIGINT) > $2 ORDER BY repository LIMIT 1000",
        &[ROWS.into(), most.into()],
    )?;
    rows.iter().map(|row| Ok(row.int(0)?)).collect()
}

/// Has some artifacts of a repository expire that has more than so many bytes: those first that have more alone, which no others
/// make room for, then the oldest. How many.
pub(crate) fn make(
    tx: &mut Transaction<'_>,
    repository: i64,
    most: Option<u64>,
) -> Result<usize, OperationError> {
    let most = most.map_or(i64::MAX, signed);
    // Looked for before it is counted: what somebody else has expire in between is counted no more.
    let large = tx.query(
        "SELECT job, attempt, name FROM artifacts WHERE repository = $1 AND expired = 0 AND size > $2 ORDER BY size LIMIT $3",
        &[repository.into(), most.into(), STEP.into()],
    )?;
    let chosen = match large.is_empty() {
        false => large,
        true => tx.query(
            "SELECT job, attempt, name FROM artifacts WHERE repository = $1 AND expired = 0 \
             ORDER BY created_at, job, attempt, name LIMIT $2",
            &[repository.into(), STEP.into()],
        )?,
    };
    let before = fold(tx, repository)?;
    let (mut bytes, mut expired) = (before, 0);
    for row in &chosen {
        if bytes <= most {
            break;
        }
        // Somebody else is at it.
        let Some(gone) = artifact::expire(tx, row)? else {
            break;
        };
        bytes = bytes.saturating_sub(gone.bytes);
        expired += 1;
    }
    add(tx, repository, bytes - before)?;
    Ok(expired)
}

/// Makes the rows of a repository one; the sum of those that nobody else is making one.
fn fold(tx: &mut Transaction<'_>, repository: i64) -> Result<i64, OperationError> {
    let rows = tx.query(
        "DELETE FROM artifact_bytes WHERE repository = $1 RETURNING bytes",
        &[repository.into()],
    )?;
    let mut sum: i64 = 0;
    for row in &rows {
        sum = sum.saturating_add(row.int(0)?);
    }
    add(tx, repository, sum)?;
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use protocol::service::{AttemptId, JobId};

    use super::*;
    use crate::database::{Database, Location};

    fn open(directory: &tempfile::TempDir) -> Database {
        Database::open(&Location::Sqlite(directory.path().join("db"))).unwrap()
    }

    /// Repository 7 has these of so many bytes each, the oldest first.
    async fn keep(database: &Database, sizes: &'static [i64]) {
        let keeping = database.write(move |tx| {
            for (job, size) in (1_i64..).zip(sizes) {
                tx.execute(
                    "INSERT INTO artifacts (job, attempt, name, size, files, bytes, sha256, created_at, expires_at, repository) \
                     VALUES ($1, 1, 'app', $2, 1, 1, '', $1, $1, 7)",
                    &[job.into(), (*size).into()],
                )?;
                add(tx, 7, *size)?;
            }
            Ok(())
        });
        keeping.await.unwrap();
    }

    /// What is kept, and what the rows add up to.
    async fn kept(database: &Database) -> (Vec<i64>, i64) {
        let looking = database.read(|tx| {
            let rows = tx.query(
                "SELECT job FROM artifacts WHERE expired = 0 ORDER BY job",
                &[],
            )?;
            let jobs: Result<_, DatabaseError> = rows.iter().map(|row| row.int(0)).collect();
            let sum = tx.one("SELECT COALESCE(SUM(bytes), 0) FROM artifact_bytes", &[])?;
            Ok((jobs?, sum.int(0)?))
        });
        looking.await.unwrap()
    }

    async fn make_room(database: &Database, most: u64) -> usize {
        let making = database.write(move |tx| make(tx, 7, Some(most)));
        making.await.unwrap()
    }

    async fn is_seen_to(database: &Database, most: u64) -> bool {
        let looking = database.read(move |tx| to_see_to(tx, Some(most)));
        looking.await.unwrap().is_empty()
    }

    #[tokio::test]
    async fn the_oldest_go_until_the_others_fit() {
        let directory = tempfile::TempDir::new().unwrap();
        let database = open(&directory);
        keep(&database, &[10, 20, 30, 40]).await;
        assert!(is_seen_to(&database, 100).await);
        assert!(!is_seen_to(&database, 99).await);
        assert_eq!(make_room(&database, 80).await, 2);
        assert_eq!(kept(&database).await, (vec![3, 4], 70));
        assert_eq!(make_room(&database, 80).await, 0);
        assert!(is_seen_to(&database, 80).await);
    }

    #[tokio::test]
    async fn what_no_others_make_room_for_goes_alone() {
        let directory = tempfile::TempDir::new().unwrap();
        let database = open(&directory);
        keep(&database, &[10, 20, 500, 30]).await;
        assert_eq!(make_room(&database, 60).await, 1);
        assert_eq!(kept(&database).await, (vec![1, 2, 4], 60));
    }

    #[tokio::test]
    async fn many_go_in_steps() {
        let directory = tempfile::TempDir::new().unwrap();
        let database = open(&directory);
        keep(&database, &[1; 250]).await;
        let mut steps = Vec::new();
        while !is_seen_to(&database, 10).await {
            steps.push(make_room(&database, 10).await);
        }
        assert_eq!(steps, [100, 100, 40]);
        assert_eq!(kept(&database).await.1, 10);
    }

    #[tokio::test]
    async fn what_expires_twice_is_taken_away_once() {
        let directory = tempfile::TempDir::new().unwrap();
        let database = open(&directory);
        keep(&database, &[10, 20]).await;
        let expiring = database.write(|tx| {
            let rows = tx.query("SELECT job, attempt, name FROM artifacts", &[])?;
            let mut taken = Vec::new();
            for row in rows.iter().chain(&rows) {
                taken.extend(artifact::expire(tx, row)?.map(|expired| expired.bytes));
            }
            Ok(taken)
        });
        assert_eq!(expiring.await.unwrap(), [10, 20]);
    }

    #[tokio::test]
    async fn what_expires_or_is_forgotten_is_counted_no_more() {
        let directory = tempfile::TempDir::new().unwrap();
        let database = open(&directory);
        keep(&database, &[10, 20, 30]).await;
        let later = database.write(|tx| {
            let never = i64::MAX;
            tx.execute(
                "UPDATE artifacts SET expires_at = $1 WHERE job > 1",
                &[never.into()],
            )?;
            artifact::expire_due(tx)
        });
        assert_eq!(later.await.unwrap(), 1);
        assert_eq!(kept(&database).await, (vec![2, 3], 50));
        let forgetting = database.write(|tx| {
            for job in [1_i64, 2] {
                tx.execute(
                    "INSERT INTO jobs (id, pipeline, place, name, shape, plan, state, due, created_at) \
                     VALUES ($1, 5, $1, '', '', '', 'finished', 0, 0)",
                    &[job.into()],
                )?;
            }
            artifact::forget(tx, 5)
        });
        forgetting.await.unwrap();
        assert_eq!(kept(&database).await, (vec![3], 30));
        let id = AttemptId {
            job: JobId(1),
            attempt: 1,
        };
        let none = database.read(move |tx| artifact::find(tx, id, "app"));
        assert!(none.await.is_err());
    }

    #[tokio::test]
    async fn rows_that_are_many_become_one() {
        let directory = tempfile::TempDir::new().unwrap();
        let database = open(&directory);
        keep(&database, &[1; 17]).await;
        let looking = database.read(|tx| to_see_to(tx, None));
        assert_eq!(looking.await.unwrap(), [7]);
        let making = database.write(|tx| make(tx, 7, None));
        assert_eq!(making.await.unwrap(), 0);
        let rows = database.read(|tx| {
            let row = tx.one("SELECT COUNT(*), SUM(bytes) FROM artifact_bytes", &[])?;
            Ok((row.int(0)?, row.int(1)?))
        });
        assert_eq!(rows.await.unwrap(), (1, 17));
    }
}
