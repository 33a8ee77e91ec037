//! The logs that an attempt leaves: which there can be, and what has become of them.

use std::collections::HashSet;

use pipelines::expression::Template;
use protocol::service::{AttemptId, ProblemCode, StreamInfo, StreamKind, StreamName};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::database::{DatabaseError, OperationError, Transaction, refuse, word};

/// Of a plan what leaves logs.
#[derive(Debug, Deserialize)]
pub(super) struct Leaving {
    jobs: Vec<LeavingJob>,
}

#[derive(Debug, Deserialize)]
struct LeavingJob {
    #[serde(default)]
    steps: Vec<IgnoredAny>,
    #[serde(default)]
    after: Vec<IgnoredAny>,
    #[serde(default)]
    services: Vec<LeavingService>,
    #[serde(default)]
    artifacts: Vec<LeavingArtifact>,
    #[serde(default)]
    cache: Vec<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct LeavingArtifact {
    name: Template,
}

impl LeavingArtifact {
    /// What a name with expressions in it becomes is known where the job runs.
    fn may_be(&self, name: &str) -> bool {
        self.name.as_literal().is_none_or(|literal| literal == name)
    }
}

#[derive(Debug, Deserialize)]
struct LeavingService {
    name: String,
}

impl Leaving {
    /// Whether there are archives among it: artifacts or caches.
    pub(super) fn has_archives(&self) -> bool {
        let mut jobs = self.jobs.iter();
        jobs.any(|job| !job.artifacts.is_empty() || !job.cache.is_empty())
    }
}

/// Looks whether a job leaves streams of these names: its steps, its services, its artifacts and its caches do.
pub(super) fn check<'n>(
    id: AttemptId,
    Leaving { jobs }: &Leaving,
    names: impl IntoIterator<Item = &'n StreamName>,
) -> Result<(), OperationError> {
    let has = |name: &StreamName| {
        jobs.iter().any(|job| match &name.kind {
            StreamKind::Step(index) => {
                usize::try_from(*index).is_ok_and(|index| index < job.steps.len() + job.after.len())
            }
            StreamKind::Service(name) => job.services.iter().any(|service| service.name == *name),
            StreamKind::Artifact(name) => {
                job.artifacts.iter().any(|artifact| artifact.may_be(name))
            }
            StreamKind::Cache(number) => {
                usize::try_from(*number).is_ok_and(|number| number < job.cache.len())
            }
        })
    };
    let mut seen = HashSet::new();
    for name in names {
        if !has(name) {
            let message = format!(
                "job {} has no step, service, artifact or cache with a stream {name}",
                id.job
            );
            return refuse(ProblemCode::Invalid, message);
        }
        if !seen.insert(name) {
            return refuse(
                ProblemCode::Invalid,
                format!("the log {name} is there twice"),
            );
        }
    }
    Ok(())
}

/// Notes what the logs of an attempt have become whose pieces are objects: they are still as they were found. Where somebody has
/// thrown one away meanwhile, the attempt has not ended.
pub(crate) fn keep_pieces(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    streams: &[StreamInfo],
) -> Result<(), DatabaseError> {
    let (empty, others): (Vec<_>, Vec<_>) = streams.iter().partition(|stream| stream.length == 0);
    for stream in others {
        tx.later_changing(
            "UPDATE streams SET complete = 1 WHERE job = $1 AND attempt = $2 AND name = $3 AND length = $4",
            &[
                id.job.0.into(),
                id.attempt.into(),
                word(&stream.name)?,
                stream.length.into(),
            ],
        )?;
    }
    // Nothing goes on any more.
    tx.later(
        "DELETE FROM blocks WHERE job = $1 AND attempt = $2",
        &[id.job.0.into(), id.attempt.into()],
    )?;
    // Of what is empty there is no row yet.
    keep_streams(tx, id, empty)
}

/// Notes what the logs of an attempt have become.
pub(crate) fn keep_streams<'s>(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    streams: impl IntoIterator<Item = &'s StreamInfo>,
) -> Result<(), DatabaseError> {
    for stream in streams {
        tx.later(
            "INSERT INTO streams (job, attempt, name, length, complete, cut_from, cut_to) VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (job, attempt, name) DO UPDATE SET length = excluded.length, complete = excluded.complete, \
             cut_from = excluded.cut_from, cut_to = excluded.cut_to",
            &[
                id.job.0.into(),
                id.attempt.into(),
                word(&stream.name)?,
                stream.length.into(),
                stream.complete.into(),
                stream.cut_from.into(),
                stream.cut_to.into(),
            ],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use protocol::service::{JobId, StreamName};

    use super::*;
    use crate::database::{Database, Location};

    #[tokio::test]
    async fn an_end_whose_pieces_were_thrown_away_meanwhile_is_none() {
        let directory = tempfile::TempDir::new().unwrap();
        let database = Database::open(&Location::Sqlite(directory.path().join("db"))).unwrap();
        let id = AttemptId {
            job: JobId(1),
            attempt: 1,
        };
        let stream = |index, length| StreamInfo {
            name: StreamName::step(index),
            length,
            complete: true,
            cut_from: None,
            cut_to: None,
        };
        let streams = [stream(0, 5), stream(1, 0)];
        let keep = async |streams: [StreamInfo; 2]| {
            let keeping = database.write(move |tx| Ok(keep_pieces(tx, id, &streams)?));
            keeping.await
        };
        assert!(keep(streams.clone()).await.is_err());
        for (length, is_kept) in [(4_i64, false), (5, true)] {
            let coming = database.write(move |tx| {
                let sql = "INSERT INTO streams (job, attempt, name, length) VALUES (1, 1, 'step-0', $1) \
                           ON CONFLICT (job, attempt, name) DO UPDATE SET length = excluded.length";
                Ok(tx.execute(sql, &[length.into()])?)
            });
            coming.await.unwrap();
            assert_eq!(keep(streams.clone()).await.is_ok(), is_kept, "{length}");
        }
        let complete = database.read(|tx| {
            let sql = "SELECT COUNT(*) FROM streams WHERE complete = 1";
            Ok(tx.one(sql, &[])?.int(0)?)
        });
        assert_eq!(complete.await.unwrap(), 2);
    }
}
