//! Artifacts of attempts that are finished.

use std::time::Duration;

use protocol::service::{
    Artifact, ArtifactEnd, Artifacts, AttemptId, JobId, ProblemCode, StreamInfo, StreamName,
};

use crate::database::{DatabaseError, OperationError, Row, Transaction, refuse, word};

/// Notes what an attempt has left. What says nothing itself is kept as long as `keep` says; `None` is for ever.
pub(crate) fn keep(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    artifacts: &[ArtifactEnd],
    streams: &[StreamInfo],
    keep: Option<Duration>,
) -> Result<(), OperationError> {
    let now = tx.now();
    let keep_ms = keep.map(|keep| u64::try_from(keep.as_millis()).unwrap_or(u64::MAX));
    for artifact in artifacts {
        let mut streams = streams.iter();
        let stream = streams.find(|stream| stream.name.as_artifact() == Some(&artifact.name));
        let Some(stream) = stream else {
            let message = format!("artifact {} has no stream", artifact.name);
            return refuse(ProblemCode::Invalid, message);
        };
        let expires_at = artifact
            .expire_ms
            .or(keep_ms)
            .map(|length| now.saturating_add(length).min(i64::MAX.unsigned_abs()));
        tx.execute(
            "INSERT INTO artifacts (job, attempt, name, size, files, bytes, sha256, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (job, attempt, name) DO NOTHING",
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
            ],
        )?;
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

/// Some of those whose time is over and that are still there.
pub(crate) fn due(
    tx: &mut Transaction<'_>,
) -> Result<Vec<(AttemptId, StreamName)>, OperationError> {
    let now = tx.now();
    let rows = tx.query(
        "SELECT job, attempt, name FROM artifacts WHERE expired = 0 AND expires_at IS NOT NULL AND expires_at <= $1 \
         ORDER BY expires_at LIMIT 100",
        &[now.into()],
    )?;
    let mut due = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = AttemptId {
            job: JobId(row.number(0)?),
            attempt: row.number(1)?,
        };
        due.extend(StreamName::artifact(row.text(2)?).map(|name| (id, name)));
    }
    Ok(due)
}

/// Notes that an artifact is not there any more.
pub(crate) fn expire(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    name: &StreamName,
) -> Result<(), OperationError> {
    tx.execute(
        "UPDATE artifacts SET expired = 1 WHERE job = $1 AND attempt = $2 AND name = $3",
        &[
            id.job.0.into(),
            id.attempt.into(),
            name.as_artifact().unwrap_or_default().into(),
        ],
    )?;
    tx.execute(
        "DELETE FROM streams WHERE job = $1 AND attempt = $2 AND name = $3",
        &[id.job.0.into(), id.attempt.into(), word(name)?],
    )?;
    Ok(())
}
