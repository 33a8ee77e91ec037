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
    /// Whether there are artifacts among it.
    pub(super) fn has_artifacts(&self) -> bool {
        self.jobs.iter().any(|job| !job.artifacts.is_empty())
    }
}

/// Looks whether a job leaves streams of these names: its steps, its services and its artifacts do.
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
        })
    };
    let mut seen = HashSet::new();
    for name in names {
        if !has(name) {
            let message = format!(
                "job {} has no step, service or artifact with a stream {name}",
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

/// Notes what the logs of an attempt have become.
pub(crate) fn keep_streams(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    streams: &[StreamInfo],
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
