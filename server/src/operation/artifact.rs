//! Artifacts of attempts that are finished.

use std::collections::BTreeMap;

use protocol::service::{
    Artifact, ArtifactEnd, Artifacts, AttemptId, JobId, ProblemCode, StreamInfo, StreamName,
};

use super::remains::{self, What};
use super::room;
use crate::config;
use crate::database::{DatabaseError, OperationError, Row, Transaction, refuse};

/// Notes what an attempt has left, and for how long it is kept.
pub(crate) fn keep(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    artifacts: &[ArtifactEnd],
    streams: &[StreamInfo],
    rules: config::Artifacts,
) -> Result<(), OperationError> {
    if artifacts.is_empty() {
        return Ok(());
    }
    let row = tx.one(
        "SELECT p.repository FROM jobs j JOIN pipelines p ON p.id = j.pipeline WHERE j.id = $1",
        &[id.job.0.into()],
    )?;
    let repository = row.int(0)?;
    let now = tx.now();
    let mut bytes: i64 = 0;
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
        let is_new = tx.execute(
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
        )? > 0;
        if is_new {
            bytes = bytes.saturating_add(room::signed(stream.length));
        }
    }
    Ok(room::add(tx, repository, bytes)?)
}

/// Archives of a finished attempt that nothing is said of are not kept: those that rows name, and those that were found.
pub(crate) fn leave_out(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    artifacts: &[ArtifactEnd],
    found: &[StreamName],
) -> Result<(), OperationError> {
    let rows = tx.query(
        "SELECT name FROM streams WHERE job = $1 AND attempt = $2 AND name LIKE 'artifact-%'",
        &[id.job.0.into(), id.attempt.into()],
    )?;
    let named: Vec<StreamName> = rows
        .iter()
        .map(|row| row.word(0))
        .collect::<Result<_, _>>()?;
    let is_said = |name: &str| artifacts.iter().any(|artifact| artifact.name == name);
    for stream in named.iter().chain(found) {
        if stream.as_artifact().is_some_and(|name| !is_said(name)) {
            remains::note(tx, id, &What::Stream(stream.clone()))?;
        }
    }
    Ok(())
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
    let mut gone = BTreeMap::new();
    for row in &rows {
        if let Some(expired) = expire(tx, row)? {
            let bytes: &mut i64 = gone.entry(expired.repository).or_default();
            *bytes = bytes.saturating_add(expired.bytes);
        }
    }
    for (repository, bytes) in gone {
        room::add(tx, repository, -bytes)?;
    }
    Ok(rows.len())
}

/// What is not kept any more.
#[derive(Debug)]
pub(super) struct Expired {
    pub(super) repository: i64,
    pub(super) bytes: i64,
}

/// One that `job`, `attempt` and `name` say is not kept any more. `None`: somebody else has seen to it; who has takes its bytes away.
pub(super) fn expire(
    tx: &mut Transaction<'_>,
    row: &Row,
) -> Result<Option<Expired>, OperationError> {
    let id = AttemptId {
        job: JobId(row.number(0)?),
        attempt: row.number(1)?,
    };
    let name = row.text(2)?;
    let expired = tx.first(
        "UPDATE artifacts SET expired = 1 WHERE job = $1 AND attempt = $2 AND name = $3 AND expired = 0 RETURNING repository, size",
        &[id.job.0.into(), id.attempt.into(), name.into()],
    )?;
    let Some(expired) = expired else {
        return Ok(None);
    };
    if let Some(stream) = StreamName::artifact(name) {
        remains::note(tx, id, &What::Stream(stream))?;
    }
    Ok(Some(Expired {
        repository: expired.int(0)?,
        bytes: expired.int(1)?,
    }))
}

/// Forgets those of a pipeline's jobs.
pub(super) fn forget(tx: &mut Transaction<'_>, pipeline: i64) -> Result<(), OperationError> {
    let rows = tx.query(
        "DELETE FROM artifacts WHERE job IN (SELECT id FROM jobs WHERE pipeline = $1) RETURNING repository, size, expired",
        &[pipeline.into()],
    )?;
    let (mut repository, mut bytes) = (0, 0_i64);
    for row in rows {
        repository = row.int(0)?;
        if !row.is(2)? {
            bytes = bytes.saturating_add(row.int(1)?);
        }
    }
    Ok(room::add(tx, repository, -bytes)?)
}
