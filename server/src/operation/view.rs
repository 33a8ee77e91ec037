//! Pipelines and jobs, as users see them.

use std::sync::Arc;

use protocol::service::{
    Attempt, AttemptId, AttemptState, Job, JobId, JobState, JobSummary, Jobs, Pipeline, PipelineId,
    PipelineState, PipelineSummary, Pipelines, ProblemCode, StreamInfo, Waiting,
};

use super::remains;
use super::row::node_of;
use crate::database::{DatabaseError, Dialect, OperationError, Row, Transaction, Value, refuse};
use crate::metrics::Counts;
use crate::queue::{Node, State, has_labels};
use crate::scope::Scope;

/// Entries of one page at most.
pub(crate) const PAGE: usize = 100;

/// The state of a pipeline, by the word that is kept.
fn pipeline_state(word: &str) -> PipelineState {
    match word {
        "running" => PipelineState::Running,
        "finished" => PipelineState::Finished,
        _ => PipelineState::Queued,
    }
}

fn summary(row: &Row) -> Result<PipelineSummary, DatabaseError> {
    Ok(PipelineSummary {
        id: PipelineId(row.number(0)?),
        name: row.maybe_text(1)?.map(str::to_owned),
        source: row.maybe_json(2)?,
        trigger: row.json(3)?,
        state: pipeline_state(row.text(4)?),
        conclusion: row.maybe_word(5)?,
        reason: row.maybe_text(6)?.map(str::to_owned),
        created_at: row.number(7)?,
        started_at: row.maybe_number(8)?,
        finished_at: row.maybe_number(9)?,
    })
}

/// Something that is of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Job,
    Pipeline,
}

/// The URL of the repository that something is of, empty for none; `None` when there is no such thing.
pub(crate) fn repository(
    tx: &mut Transaction<'_>,
    of: Of,
    id: u64,
) -> Result<Option<String>, OperationError> {
    let sql = match of {
        Of::Pipeline => {
            "SELECT r.url FROM pipelines p JOIN repositories r ON r.id = p.repository WHERE p.id = $1"
        }
        Of::Job => {
            "SELECT r.url FROM jobs j JOIN pipelines p ON p.id = j.pipeline JOIN repositories r ON r.id = p.repository \
             WHERE j.id = $1"
        }
    };
    let row = tx.first(sql, &[id.into()])?;
    Ok(row.map(|row| row.text(0).map(str::to_owned)).transpose()?)
}

/// The repositories of a scope: their ids, as a JSON list, for `of_repositories!`.
fn of_scope(tx: &mut Transaction<'_>, scope: &Scope) -> Result<Value<'static>, DatabaseError> {
    let mut ids = Vec::new();
    for row in tx.query("SELECT id, url FROM repositories ORDER BY id", &[])? {
        if scope.covers(row.text(1)?) {
            ids.push(row.int(0)?);
        }
    }
    Value::json(&ids)
}

/// A query with the ids of repositories, a JSON list, as `$3` in its middle.
macro_rules! of_repositories {
    ($tx:expr, $before:literal, $behind:literal) => {
        match $tx.dialect() {
            Dialect::Sqlite => concat!($before, "(SELECT value FROM json_each($3))", $behind),
            Dialect::Postgres => concat!(
                $before,
                "(SELECT CAST(ids.value AS BIGINT) FROM json_array_elements_text(CAST(CAST($3 AS TEXT) AS JSON)) AS ids (value))",
                $behind
            ),
        }
    };
}

/// A page of pipelines before `before`, newest first, of those in scope.
pub(crate) fn pipelines(
    tx: &mut Transaction<'_>,
    before: Option<u64>,
    scope: &Scope,
) -> Result<Pipelines, OperationError> {
    let (before, most) = (before.unwrap_or(u64::MAX).into(), (PAGE + 1).into());
    let rows = match scope.is_all() {
        true => tx.query(
            "SELECT id, name, source, trigger_of, state, conclusion, reason, created_at, started_at, finished_at \
             FROM pipelines WHERE id < $1 ORDER BY id DESC LIMIT $2",
            &[before, most],
        )?,
        false => {
            let sql = of_repositories!(
                tx,
                "SELECT id, name, source, trigger_of, state, conclusion, reason, created_at, started_at, finished_at \
                 FROM pipelines WHERE id < $1 AND repository IN ",
                " ORDER BY id DESC LIMIT $2"
            );
            let ids = of_scope(tx, scope)?;
            tx.query(sql, &[before, most, ids])?
        }
    };
    let pipelines: Result<Vec<_>, _> = rows.iter().take(PAGE).map(summary).collect();
    let pipelines = pipelines?;
    let next = (rows.len() > PAGE).then(|| pipelines.last().map(|last| last.id.0));
    Ok(Pipelines {
        pipelines,
        next: next.flatten(),
    })
}

/// One pipeline with its jobs.
pub(crate) fn pipeline(
    tx: &mut Transaction<'_>,
    id: PipelineId,
) -> Result<Pipeline, OperationError> {
    let row = tx.first(
        "SELECT id, name, source, trigger_of, state, conclusion, reason, created_at, started_at, finished_at, diagnostics \
         FROM pipelines WHERE id = $1",
        &[id.0.into()],
    )?;
    let Some(row) = row else {
        return refuse(ProblemCode::NotFound, format!("there is no pipeline {id}"));
    };
    let rows = tx.query(
        "SELECT id, pipeline, agent, created_at, started_at, finished_at, \
         shape, state, conclusion, cause, allowed, failed, outputs, approved, stopping, stopped_by, attempt, lost, \
         (SELECT g.name FROM groups_of g WHERE g.id = jobs.group_of), (SELECT l.labels FROM lanes l WHERE l.id = jobs.lane), \
         (SELECT p.approval FROM pipelines p WHERE p.id = jobs.pipeline) \
         FROM jobs WHERE pipeline = $1 ORDER BY place",
        &[id.0.into()],
    )?;
    let jobs: Result<Vec<_>, _> = rows
        .iter()
        .map(|row| job_summary(row).map(|(summary, _)| summary))
        .collect();
    Ok(Pipeline {
        summary: summary(&row)?,
        jobs: jobs?,
        diagnostics: row.text(10)?.to_owned(),
    })
}

/// From the columns of [`pipeline`]'s jobs.
fn job_summary(row: &Row) -> Result<(JobSummary, Node), DatabaseError> {
    let node = node_of(row, 7, Arc::new(row.json(6)?))?;
    let summary = JobSummary {
        id: JobId(row.number(0)?),
        pipeline: PipelineId(row.number(1)?),
        name: node.shape.id.clone(),
        state: match node.state {
            State::Waiting | State::Approval | State::Held | State::Ready => JobState::Queued,
            State::Assigned => JobState::Assigned,
            State::Running => JobState::Running,
            State::Finished => JobState::Finished,
        },
        // Nothing of its pipeline starts before.
        waiting: match node.state == State::Waiting && row.is(20)? {
            true => Some(Waiting::Approval),
            false => node.waiting(),
        },
        conclusion: node.end.as_ref().map(|end| end.conclusion),
        cause: node.end.as_ref().and_then(|end| end.cause.clone()),
        allowed: node.allowed,
        needs: node.shape.needs.clone(),
        attempt: node.attempt,
        agent: row.maybe_number(2)?.map(protocol::service::AgentId),
        created_at: row.number(3)?,
        started_at: row.maybe_number(4)?,
        finished_at: row.maybe_number(5)?,
    };
    Ok((summary, node))
}

/// A page of jobs before `before`, newest first, of those in scope.
pub(crate) fn jobs(
    tx: &mut Transaction<'_>,
    before: Option<u64>,
    scope: &Scope,
) -> Result<Jobs, OperationError> {
    let (before, most) = (before.unwrap_or(u64::MAX).into(), (PAGE + 1).into());
    let rows = match scope.is_all() {
        true => tx.query(
            "SELECT id, pipeline, agent, created_at, started_at, finished_at, \
             shape, state, conclusion, cause, allowed, failed, outputs, approved, stopping, stopped_by, attempt, lost, \
             (SELECT g.name FROM groups_of g WHERE g.id = jobs.group_of), (SELECT l.labels FROM lanes l WHERE l.id = jobs.lane), \
             (SELECT p.approval FROM pipelines p WHERE p.id = jobs.pipeline) \
             FROM jobs WHERE id < $1 ORDER BY id DESC LIMIT $2",
            &[before, most],
        )?,
        false => {
            let sql = of_repositories!(
                tx,
                "SELECT id, pipeline, agent, created_at, started_at, finished_at, \
                 shape, state, conclusion, cause, allowed, failed, outputs, approved, stopping, stopped_by, attempt, lost, \
                 (SELECT g.name FROM groups_of g WHERE g.id = jobs.group_of), (SELECT l.labels FROM lanes l WHERE l.id = jobs.lane), \
                 (SELECT p.approval FROM pipelines p WHERE p.id = jobs.pipeline) \
                 FROM jobs WHERE id < $1 \
                 AND (SELECT p.repository FROM pipelines p WHERE p.id = jobs.pipeline) IN ",
                " ORDER BY id DESC LIMIT $2"
            );
            let ids = of_scope(tx, scope)?;
            tx.query(sql, &[before, most, ids])?
        }
    };
    let jobs: Result<Vec<_>, _> = rows
        .iter()
        .take(PAGE)
        .map(|row| job_summary(row).map(|(summary, _)| summary))
        .collect();
    let jobs = jobs?;
    let next = (rows.len() > PAGE).then(|| jobs.last().map(|last| last.id.0));
    Ok(Jobs {
        jobs,
        next: next.flatten(),
    })
}

/// One job with its attempts. `patience_ms` is how long nothing may be heard of an agent that counts.
pub(crate) fn job(
    tx: &mut Transaction<'_>,
    id: JobId,
    patience_ms: u64,
) -> Result<Job, OperationError> {
    let row = tx.first(
        "SELECT id, pipeline, agent, created_at, started_at, finished_at, \
         shape, state, conclusion, cause, allowed, failed, outputs, approved, stopping, stopped_by, attempt, lost, \
         (SELECT g.name FROM groups_of g WHERE g.id = jobs.group_of), (SELECT l.labels FROM lanes l WHERE l.id = jobs.lane), \
         (SELECT p.approval FROM pipelines p WHERE p.id = jobs.pipeline), plan FROM jobs WHERE id = $1",
        &[id.0.into()],
    )?;
    let Some(row) = row else {
        return refuse(ProblemCode::NotFound, format!("there is no job {id}"));
    };
    let (mut summary, node) = job_summary(&row)?;
    if node.state == State::Ready && !has_agent(tx, &node, patience_ms)? {
        summary.waiting = Some(Waiting::Labels {
            runs_on: node.runs_on.clone(),
        });
    }
    let plan: pipelines::plan::Plan = row.json(21)?;
    let steps = plan
        .jobs
        .iter()
        .flat_map(|job| job.steps.iter().chain(&job.after));
    let services = plan.jobs.iter().flat_map(|job| &job.services);
    let mut attempts = attempts(tx, id)?;
    for attempt in &mut attempts {
        let id = AttemptId {
            job: id,
            attempt: attempt.attempt,
        };
        attempt.logs = streams(tx, id)?;
        attempt.logs.retain(|log| !log.name.is_archive());
    }
    Ok(Job {
        outputs: node.end.map(|end| end.outputs).unwrap_or_default(),
        runs_on: node.runs_on,
        steps: steps.map(|step| step.name.clone()).collect(),
        after: plan.jobs.iter().map(|job| job.after.len()).sum(),
        services: services.map(|service| service.name.clone()).collect(),
        attempts,
        summary,
    })
}

/// The attempts at a job, without their logs.
pub(crate) fn attempts(
    tx: &mut Transaction<'_>,
    job: JobId,
) -> Result<Vec<Attempt>, DatabaseError> {
    let rows = tx.query(
        "SELECT attempt, agent, state, conclusion, cause, events, started_at, finished_at FROM attempts \
         WHERE job = $1 ORDER BY attempt",
        &[job.0.into()],
    )?;
    rows.iter().map(attempt).collect()
}

/// Whether an agent that is there has the labels the job asks for.
fn has_agent(
    tx: &mut Transaction<'_>,
    node: &Node,
    patience_ms: u64,
) -> Result<bool, DatabaseError> {
    let since = tx.now().saturating_sub(patience_ms);
    let rows = tx.query(
        "SELECT description FROM agents WHERE seen_at >= $1 AND draining = 0",
        &[since.into()],
    )?;
    for row in &rows {
        let agent: protocol::service::AgentDescription = row.json(0)?;
        if has_labels(&agent.labels, &node.runs_on) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn attempt(row: &Row) -> Result<Attempt, DatabaseError> {
    Ok(Attempt {
        attempt: row.number(0)?,
        agent: protocol::service::AgentId(row.number(1)?),
        state: row.word::<AttemptState>(2)?,
        conclusion: row.maybe_word(3)?,
        cause: row.maybe_json(4)?,
        started_at: row.number(6)?,
        finished_at: row.maybe_number(7)?,
        events: row.number(5)?,
        logs: Vec::new(),
    })
}

/// Whether an attempt is over.
pub(crate) fn is_over(tx: &mut Transaction<'_>, id: AttemptId) -> Result<bool, OperationError> {
    let row = tx.first(
        "SELECT state FROM attempts WHERE job = $1 AND attempt = $2",
        &[id.job.0.into(), id.attempt.into()],
    )?;
    match row {
        Some(row) => Ok(row.word::<AttemptState>(0)? != AttemptState::Running),
        None => refuse(
            ProblemCode::NotFound,
            format!("job {} has no attempt {}", id.job, id.attempt),
        ),
    }
}

/// The streams of an attempt that the database knows.
pub(crate) fn streams(
    tx: &mut Transaction<'_>,
    id: AttemptId,
) -> Result<Vec<StreamInfo>, DatabaseError> {
    let rows = tx.query(
        "SELECT name, length, complete, cut_from, cut_to FROM streams WHERE job = $1 AND attempt = $2 ORDER BY name",
        &[id.job.0.into(), id.attempt.into()],
    )?;
    let stream = |row: &Row| {
        Ok(StreamInfo {
            name: row.word(0)?,
            length: row.number(1)?,
            complete: row.is(2)?,
            cut_from: row.maybe_number(3)?,
            cut_to: row.maybe_number(4)?,
        })
    };
    rows.iter().map(stream).collect()
}

/// How many jobs that are not over are in which state, and what is to be removed. Of pipelines that are over nothing is looked at,
/// however many there are.
pub(crate) fn counts(tx: &mut Transaction<'_>) -> Result<Counts, OperationError> {
    let rows = tx.query(
        "SELECT j.state, count(*) FROM pipelines p JOIN jobs j ON j.pipeline = p.id \
         WHERE p.state <> 'finished' AND j.state <> 'finished' GROUP BY j.state ORDER BY j.state",
        &[],
    )?;
    let count = |row: &Row| Ok((row.text(0)?.to_owned(), row.int(1)?));
    let jobs: Result<_, OperationError> = rows.iter().map(count).collect();
    Ok(Counts {
        jobs: jobs?,
        removals: remains::count(tx)?,
    })
}

/// Tries whether the database can be written to, as much as a small pipeline has. What is only looked at is answered by a full disk, too.
pub(crate) fn try_to_write(tx: &mut Transaction<'_>) -> Result<(), OperationError> {
    let tried = format!("{}{}", tx.now(), " ".repeat(64 << 10));
    tx.execute(
        "INSERT INTO facts (name, value) VALUES ('tried', $1) ON CONFLICT (name) DO UPDATE SET value = $1",
        &[tried.into()],
    )?;
    Ok(())
}

/// Looks whether the database answers.
pub(crate) fn look(tx: &mut Transaction<'_>) -> Result<(), OperationError> {
    tx.one("SELECT version FROM schema_version", &[])?;
    Ok(())
}
