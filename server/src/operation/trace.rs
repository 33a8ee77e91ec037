//! What a pipeline's trace is made from, and which pipelines have none yet.

use protocol::service::{Attempt, AttemptId, JobSummary, PipelineId, PipelineSummary};
use protocol::{Cause, Conclusion};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::view;
use crate::database::{DatabaseError, OperationError, Row, Transaction};

/// A pipeline that is over, with everything that ran for it.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) pipeline: PipelineSummary,
    pub(crate) jobs: Vec<JobStory>,
    /// There was more than a trace may have.
    pub(crate) is_cut: bool,
}

/// A job with its attempts.
#[derive(Debug)]
pub(crate) struct JobStory {
    pub(crate) job: JobSummary,
    pub(crate) attempts: Vec<AttemptStory>,
}

/// An attempt with the steps that have begun.
#[derive(Debug)]
pub(crate) struct AttemptStory {
    pub(crate) attempt: Attempt,
    pub(crate) steps: Vec<StepStory>,
}

/// A step, by its agent's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepStory {
    pub(crate) name: String,
    pub(crate) index: u64,
    /// Unix milliseconds.
    pub(crate) started_at: u64,
    /// How it ended, once it has.
    pub(crate) end: Option<StepEnd>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepEnd {
    pub(crate) conclusion: Conclusion,
    pub(crate) cause: Option<Cause>,
    pub(crate) duration_ms: u64,
}

/// Of events those that a trace is made from. Whatever else there is, also of newer agents, is passed over.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Told {
    StepStarted {
        step: String,
        index: u64,
        at: u64,
    },
    StepFinished {
        step: String,
        conclusion: Conclusion,
        #[serde(default)]
        cause: Option<Cause>,
        duration_ms: u64,
    },
    #[serde(other)]
    Other,
}

/// Some pipelines that have ended since `since` (Unix milliseconds) and have no trace of that end; the oldest first.
pub(crate) fn untold(
    tx: &mut Transaction<'_>,
    since: u64,
    most: usize,
) -> Result<Vec<PipelineId>, OperationError> {
    let rows = tx.query(
        "SELECT id FROM pipelines WHERE state = 'finished' AND finished_at >= $1 \
         AND (traced_at IS NULL OR traced_at < finished_at) ORDER BY finished_at LIMIT $2",
        &[since.into(), most.into()],
    )?;
    let id = |row: &Row| Ok(PipelineId(row.number(0)?));
    rows.iter().map(id).collect()
}

/// Takes the trace of a pipeline's end on: one server does. `false` is that another one has.
pub(crate) fn claim(tx: &mut Transaction<'_>, id: PipelineId) -> Result<bool, OperationError> {
    let changed = tx.execute(
        "UPDATE pipelines SET traced_at = finished_at WHERE id = $1 AND state = 'finished' \
         AND (traced_at IS NULL OR traced_at < finished_at)",
        &[id.0.into()],
    )?;
    Ok(changed > 0)
}

/// Gives a trace back that was not exported: the server ends.
pub(crate) fn give_back(tx: &mut Transaction<'_>, id: PipelineId) -> Result<(), OperationError> {
    tx.execute(
        "UPDATE pipelines SET traced_at = NULL WHERE id = $1",
        &[id.0.into()],
    )?;
    Ok(())
}

/// Gives up on pipelines that have ended from `from` to before `to`; how many.
pub(crate) fn give_up(tx: &mut Transaction<'_>, from: u64, to: u64) -> Result<u64, OperationError> {
    Ok(tx.execute(
        "UPDATE pipelines SET traced_at = finished_at WHERE state = 'finished' AND finished_at >= $1 AND finished_at < $2 \
         AND (traced_at IS NULL OR traced_at < finished_at)",
        &[from.into(), to.into()],
    )?)
}

/// What tells the traces of this database from those of others: random, made once.
pub(crate) fn installation(
    tx: &mut Transaction<'_>,
    fresh: &str,
) -> Result<String, OperationError> {
    tx.execute(
        "INSERT INTO facts (name, value) VALUES ('installation', $1) ON CONFLICT (name) DO NOTHING",
        &[fresh.into()],
    )?;
    let row = tx.one("SELECT value FROM facts WHERE name = 'installation'", &[])?;
    Ok(row.text(0)?.to_owned())
}

/// Everything of a pipeline, as far as `most` steps, attempts and jobs.
pub(crate) fn story(
    tx: &mut Transaction<'_>,
    id: PipelineId,
    most: usize,
) -> Result<Story, OperationError> {
    let pipeline = view::pipeline(tx, id)?;
    let mut story = Story {
        pipeline: pipeline.summary,
        jobs: Vec::new(),
        is_cut: false,
    };
    let mut left = most;
    for job in pipeline.jobs {
        let Some(rest) = left.checked_sub(1) else {
            story.is_cut = true;
            break;
        };
        left = rest;
        let mut attempts = Vec::new();
        for attempt in view::attempts(tx, job.id)? {
            let id = AttemptId {
                job: job.id,
                attempt: attempt.attempt,
            };
            let (mut steps, is_cut) = steps(tx, id)?;
            story.is_cut |= is_cut || steps.len() >= left;
            steps.truncate(left);
            left = left.saturating_sub(steps.len() + 1);
            attempts.push(AttemptStory { attempt, steps });
        }
        story.jobs.push(JobStory { job, attempts });
    }
    Ok(story)
}

/// Batches of events that are looked at of one attempt.
const BATCHES: usize = 10_000;

/// And how many bytes of them, in all and at once; one batch alone may have more.
const BYTES: u64 = 16 << 20;
const BYTES_AT_ONCE: u64 = 1 << 20;

/// The steps of an attempt, and whether some may lack: of events there can be many, and most are no steps.
fn steps(
    tx: &mut Transaction<'_>,
    id: AttemptId,
) -> Result<(Vec<StepStory>, bool), OperationError> {
    let lengths = tx.query(
        "SELECT first, octet_length(body) FROM events WHERE job = $1 AND attempt = $2 ORDER BY first LIMIT $3",
        &[id.job.0.into(), id.attempt.into(), BATCHES.into()],
    )?;
    let mut steps: Vec<StepStory> = Vec::new();
    let mut left = BYTES;
    let mut lengths = lengths.iter().peekable();
    while let Some(first) = lengths.next() {
        let (from, mut to) = (first.int(0)?, first.int(0)?);
        let mut bytes: u64 = first.number(1)?;
        while let Some(next) = lengths.peek()
            && bytes.saturating_add(next.number(1)?) <= BYTES_AT_ONCE
        {
            bytes = bytes.saturating_add(next.number(1)?);
            to = next.int(0)?;
            lengths.next();
        }
        let Some(rest) = left.checked_sub(bytes) else {
            return Ok((steps, true));
        };
        left = rest;
        let rows = tx.query(
            "SELECT body FROM events WHERE job = $1 AND attempt = $2 AND first BETWEEN $3 AND $4 ORDER BY first",
            &[id.job.0.into(), id.attempt.into(), from.into(), to.into()],
        )?;
        for row in &rows {
            // Events are kept as they came; what cannot be understood is nobody's step.
            let told: Vec<&RawValue> = serde_json::from_str(row.text(0)?)
                .map_err(|source| DatabaseError::Json { source })?;
            let told = told
                .into_iter()
                .filter_map(|one| serde_json::from_str(one.get()).ok());
            told.for_each(|one| learn(&mut steps, one));
        }
    }
    Ok((steps, false))
}

fn learn(steps: &mut Vec<StepStory>, told: Told) {
    match told {
        Told::StepStarted { step, index, at } => steps.push(StepStory {
            name: step,
            index,
            started_at: at,
            end: None,
        }),
        Told::StepFinished {
            step,
            conclusion,
            cause,
            duration_ms,
        } => {
            // One that never started has no time.
            if let Some(known) = steps.iter_mut().rev().find(|known| known.name == step) {
                known.end.get_or_insert(StepEnd {
                    conclusion,
                    cause,
                    duration_ms,
                });
            }
        }
        Told::Other => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_apart_from_everything_else() {
        let events = serde_json::json!([
            { "type": "step_started", "job": "t", "step": "a", "index": 0, "image": "host", "at": 1000 },
            { "type": "of_tomorrow", "at": "noon" },
            { "type": "step_finished", "job": "t", "step": "a", "conclusion": "failure",
              "cause": { "kind": "exit", "code": 3 }, "allowed": false, "duration_ms": 7 },
            { "type": "step_finished", "job": "t", "step": "b", "conclusion": "skipped", "allowed": false, "duration_ms": 0 },
        ]);
        let mut steps = Vec::new();
        for event in events.as_array().unwrap() {
            learn(&mut steps, serde_json::from_value(event.clone()).unwrap());
        }
        let [step] = &steps[..] else {
            panic!("{steps:?}");
        };
        assert_eq!((step.name.as_str(), step.started_at), ("a", 1000));
        let end = step.end.as_ref().unwrap();
        assert_eq!(end.duration_ms, 7);
        assert_eq!(end.cause, Some(Cause::Exit { code: 3 }));
    }
}
