//! Artifacts of attempts that are finished.

use protocol::service::{
    Artifact, ArtifactEnd, Artifacts, AttemptId, JobId, ProblemCode, StreamInfo, StreamName,
};

use super::remains::{self, What};
use crate::config;
use crate::database::{DatabaseError, OperationError, Row, Transaction, refuse};

/// Notes what an attempt has left, and for how long it is kept. Archives that nothing is said of are not.
pub(crate) fn keep(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    artifacts: &[ArtifactEnd],
    streams: &[StreamInfo],
    rules: config::Artifacts,
) -> Result<(), OperationError> {
    for stream in streams.iter().map(|stream| &stream.name) {
        let is_said = |name| artifacts.iter().any(|artifact| artifact.name == name);
        if stream.as_artifact().is_some_and(|name| !is_said(name)) {
            remains::note(tx, id, &What::Stream(stream.clone()))?;
        }
    }
    if artifacts.is_empty() {
        return Ok(());
    }
    let row = tx.one(
        "SELECT p.repository FROM jobs j JOIN pipelines p ON p.id = j.pipeline WHERE j.id = $1",
        &[id.job.0.into()],
    )?;
    let repository = row.int(0)?;
    let now = tx.now();
    for artifact in artifacts {
        let mut streams = streams.iter();
        let stream = streams.find(|stream| stream.name.as_artifact() == Some(&artifact.name));
        let Some(stream) = stream else {
            let message = format!("artifact {} has no stream", artifact.name);
            return refuse(ProblemCode::Invalid, message);
        };
        let expires_at = rules
            .kept_ms(artifact.expire_ms)
            .map(|length| now.saturating_add(length).min(i64::MAX.unsigned_abs()));
        tx.execute(
            "INSERT INTO artifacts (job, attempt, name, size, files, bytes, sha256, created_at, expires_at, repository) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (job, attempt, name) DO NOTHING",
            &[
                id.job.0.into(),
                id.attempt.into(),
                (&artifact.name).into(),
                stream.length.into(),
                artifact.files.into(),
                artifact.bytes.into(),
                (&artifact.sha256).into(),
                now.into(),
                expires_at.into(),
                repository.into(),
            ],
        )?;
    }
    match rules.repository_bytes {
        Some(most) => make_room(tx, repository, most, id),
        None => Ok(()),
    }
}

/// From the columns of [`list`].
fn artifact(row: &Row) -> Result<Artifact, DatabaseError> {
    Ok(Artifact {
        attempt: row.number(0)?,
        name: row.text(1)?.to_owned(),
        size: row.number(2)?,
        files: row.number(3)?,
        bytes: row.number(4)?,
        sha256: row.text(5)?.to_owned(),
        created_at: row.number(6)?,
        expires_at: row.maybe_number(7)?,
        expired: row.is(8)?,
    })
}

/// Everything that a job has left, the last attempt's first.
pub(crate) fn list(tx: &mut Transaction<'_>, job: JobId) -> Result<Artifacts, OperationError> {
    let known = tx.first("SELECT 1 FROM jobs WHERE id = $1", &[job.0.into()])?;
    if known.is_none() {
        return refuse(ProblemCode::NotFound, format!("there is no job {job}"));
    }
    let rows = tx.query(
        "SELECT attempt, name, size, files, bytes, sha256, created_at, expires_at, expired FROM artifacts \
         WHERE job = $1 ORDER BY attempt DESC, name",
        &[job.0.into()],
    )?;
    let artifacts: Result<Vec<_>, _> = rows.iter().map(artifact).collect();
    Ok(Artifacts {
        artifacts: artifacts?,
    })
}

/// One artifact.
pub(crate) fn find(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    name: &str,
) -> Result<Artifact, OperationError> {
    let row = tx.first(
        "SELECT attempt, name, size, files, bytes, sha256, created_at, expires_at, expired FROM artifacts \
         WHERE job = $1 AND attempt = $2 AND name = $3",
        &[id.job.0.into(), id.attempt.into(), name.into()],
    )?;
    match row {
        Some(row) => Ok(artifact(&row)?),
        None => refuse(
            ProblemCode::NotFound,
            format!(
                "attempt {} of job {} has no artifact {name}",
                id.attempt, id.job
            ),
        ),
    }
}

/// Has some expire whose time is over: from now on nobody gets them, and what they are is to be removed. How many.
pub(crate) fn expire_due(tx: &mut Transaction<'_>) -> Result<usize, OperationError> {
    let now = tx.now();
    let rows = tx.query(
        "SELECT job, attempt, name FROM artifacts WHERE expired = 0 AND expires_at IS NOT NULL AND expires_at <= $1 \
         ORDER BY expires_at LIMIT 100",
        &[now.into()],
    )?;
    rows.iter().try_for_each(|row| expire(tx, row))?;
    Ok(rows.len())
}

/// Has the oldest of a repository expire, those of one attempt excepted, until all of them have no more than so many bytes.
fn make_room(
    tx: &mut Transaction<'_>,
    repository: i64,
    most: u64,
    except: AttemptId,
) -> Result<(), OperationError> {
    let row = tx.one(
        "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM artifacts WHERE repository = $1 AND expired = 0",
        &[repository.into()],
    )?;
    let mut bytes: u64 = row.number(0)?;
    while bytes > most {
        let rows = tx.query(
            "SELECT job, attempt, name, size FROM artifacts WHERE repository = $1 AND expired = 0 AND NOT (job = $2 AND attempt = $3) \
             ORDER BY created_at, job, attempt, name LIMIT 100",
            &[repository.into(), except.job.0.into(), except.attempt.into()],
        )?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            if bytes <= most {
                break;
            }
            expire(tx, row)?;
            bytes = bytes.saturating_sub(row.number(3)?);
        }
    }
    Ok(())
}

/// One that `job`, `attempt` and `name` say is not kept any more.
fn expire(tx: &mut Transaction<'_>, row: &Row) -> Result<(), OperationError> {
    let id = AttemptId {
        job: JobId(row.number(0)?),
        attempt: row.number(1)?,
    };
    let name = row.text(2)?;
    tx.execute(
        "UPDATE artifacts SET expired = 1 WHERE job = $1 AND attempt = $2 AND name = $3",
        &[id.job.0.into(), id.attempt.into(), name.into()],
    )?;
    if let Some(stream) = StreamName::artifact(name) {
        remains::note(tx, id, &What::Stream(stream))?;
    }
    Ok(())
}
