//! A pipeline on its way from its rows to the policy's graph and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pipelines::plan::Job;
use protocol::Conclusion;
use protocol::service::{AttemptId, JobId, PipelineId, Problem, ProblemCode, Trigger};

use super::row::node_of;
use crate::database::{DatabaseError, Dialect, News, OperationError, Transaction, Value, word};
use crate::queue::{Graph, Group, Node, State, Structure};

/// A pipeline that is loaded.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) id: PipelineId,
    pub(crate) repository: i64,
    pub(crate) graph: Graph,
    pub(crate) rows: Vec<JobRow>,
    pub(super) state: String,
    pub(super) conclusion: Option<Conclusion>,
    pub(super) group: Option<i64>,
    pub(super) was_cancelled: bool,
}

/// What of a job's row the graph does not know.
#[derive(Debug)]
pub(crate) struct JobRow {
    pub(crate) id: i64,
    lane: Option<i64>,
    group: Option<i64>,
    was: State,
}

impl Loaded {
    /// The place of a job in the graph.
    pub(crate) fn place(&self, job: JobId) -> Option<usize> {
        let id = i64::try_from(job.0).ok()?;
        self.rows.iter().position(|row| row.id == id)
    }
}

pub(super) fn not_found(what: &str, id: impl std::fmt::Display) -> OperationError {
    Problem::new(ProblemCode::NotFound, format!("there is no {what} {id}")).into()
}

const PIPELINE: &str =
    "SELECT repository, state, conclusion, group_of, cancelled FROM pipelines WHERE id = $1";
const JOBS: &str = "SELECT id, lane, group_of, state, conclusion, cause, allowed, failed, outputs, approved, stopping, \
     stopped_by, attempt, lost, (SELECT g.name FROM groups_of g WHERE g.id = jobs.group_of), \
     (SELECT l.labels FROM lanes l WHERE l.id = jobs.lane) FROM jobs WHERE pipeline = $1 ORDER BY place";

/// Loads a pipeline to look at it.
pub(crate) fn peek(tx: &mut Transaction<'_>, id: PipelineId) -> Result<Loaded, OperationError> {
    let id = i64::try_from(id.0).unwrap_or(i64::MAX);
    let structure = structure(tx, id)?;
    load(tx, id, structure)
}

/// Loads a pipeline, and keeps others from changing it and its jobs until the transaction ends.
pub(super) fn lock(tx: &mut Transaction<'_>, id: i64) -> Result<Loaded, OperationError> {
    if tx.dialect() == Dialect::Postgres {
        tx.query(
            "SELECT id FROM pipelines WHERE id = $1 FOR UPDATE",
            &[id.into()],
        )?;
        tx.query(
            "SELECT id FROM jobs WHERE pipeline = $1 ORDER BY id FOR UPDATE",
            &[id.into()],
        )?;
    }
    let structure = structure(tx, id)?;
    load(tx, id, structure)
}

/// The rows of a pipeline of this structure.
pub(super) fn load(
    tx: &mut Transaction<'_>,
    id: i64,
    structure: Arc<Structure>,
) -> Result<Loaded, OperationError> {
    let Some(row) = tx.first(PIPELINE, &[id.into()])? else {
        return Err(not_found("pipeline", id));
    };
    let jobs = tx.query(JOBS, &[id.into()])?;
    let mut nodes: Vec<Node> = Vec::with_capacity(jobs.len());
    let mut rows = Vec::with_capacity(jobs.len());
    for (job, shape) in jobs.iter().zip(&structure.shapes) {
        let node = node_of(job, 3, Arc::clone(shape))?;
        rows.push(JobRow {
            id: job.int(0)?,
            lane: job.maybe_int(1)?,
            group: job.maybe_int(2)?,
            was: node.state,
        });
        nodes.push(node);
    }
    let state = row.text(1)?.to_owned();
    let cancelled = row.is(4)?;
    Ok(Loaded {
        id: PipelineId(u64::try_from(id).unwrap_or_default()),
        repository: row.int(0)?,
        graph: Graph::new(nodes, structure, state != "held", cancelled),
        rows,
        conclusion: row.maybe_word(2)?,
        state,
        group: row.maybe_int(3)?,
        was_cancelled: cancelled,
    })
}

/// What does not change about a pipeline.
fn structure(tx: &mut Transaction<'_>, id: i64) -> Result<Arc<Structure>, OperationError> {
    if let Some(known) = tx.structures().get(id) {
        return Ok(known);
    }
    let row = tx.first(
        "SELECT trigger_of FROM pipelines WHERE id = $1",
        &[id.into()],
    )?;
    let Some(row) = row else {
        return Err(not_found("pipeline", id));
    };
    let trigger: Trigger = row.json(0)?;
    let rows = tx.query(
        "SELECT shape FROM jobs WHERE pipeline = $1 ORDER BY place",
        &[id.into()],
    )?;
    let shapes: Result<Vec<Arc<Job>>, _> =
        rows.iter().map(|row| row.json(0).map(Arc::new)).collect();
    let structure = Arc::new(Structure::new(shapes?, trigger.into_context()));
    tx.structures().insert(id, &structure);
    Ok(structure)
}

/// The groups that cells of a job's matrix are held by: one of them may have lacked nothing but room in the matrix.
fn held_in_matrix(loaded: &Loaded, index: usize) -> Vec<i64> {
    let nodes = &loaded.graph.nodes;
    let matrix = |index: usize| nodes[index].shape.cell.as_ref().map(|cell| &cell.job);
    let is_held = |other: &usize| {
        nodes[*other].state == State::Held
            && matrix(index).is_some()
            && matrix(*other) == matrix(index)
    };
    let held = (0..nodes.len()).filter(is_held);
    held.filter_map(|other| loaded.rows[other].group).collect()
}

/// Writes a job that has changed.
pub(super) fn save(
    tx: &mut Transaction<'_>,
    loaded: &mut Loaded,
    index: usize,
    groups: &mut BTreeSet<i64>,
) -> Result<(), DatabaseError> {
    let leaves = {
        let state = loaded.graph.nodes[index].state;
        loaded.rows[index].was.takes_place() && !state.takes_place()
    };
    if leaves {
        groups.extend(held_in_matrix(loaded, index));
    }
    let node = &loaded.graph.nodes[index];
    let row = &mut loaded.rows[index];
    if row.was == State::Finished && node.state != State::Finished {
        queue_again(tx, row)?;
    }
    if row.lane.is_none() && !matches!(node.state, State::Waiting | State::Finished) {
        row.lane = Some(lane(tx, loaded.repository, node)?);
    }
    if let (None, Some(group)) = (row.group, &node.group) {
        row.group = Some(group_id(tx, loaded.repository, "job", group)?);
    }
    if let Some(group) = row.group
        && (leaves || node.state == State::Held)
    {
        groups.insert(group);
    }
    let now = tx.now();
    let end = node.end.as_ref();
    let finished_at = (node.state == State::Finished).then_some(now);
    let outputs = end.map(|end| Value::json(&end.outputs)).transpose()?;
    let cause = end.and_then(|end| end.cause.as_ref());
    let cause = cause.map(Value::json).transpose()?;
    tx.execute(
        "UPDATE jobs SET state = $1, conclusion = $2, cause = $3, allowed = $4, failed = $5, outputs = $6, \
         approved = $7, stopping = $8, stopped_by = $9, lane = $10, group_of = $11, lost = $12, finished_at = $13 \
         WHERE id = $14",
        &[
            word(&node.state)?,
            word(&end.map(|end| end.conclusion))?,
            cause.into(),
            node.allowed.into(),
            node.failed.into(),
            outputs.into(),
            node.approved.into(),
            (node.stopping as i64).into(),
            node.stopped_by.as_ref().into(),
            row.lane.into(),
            row.group.into(),
            node.lost.into(),
            finished_at.into(),
            row.id.into(),
        ],
    )?;
    tx.tell(News::Pipeline(loaded.id));
    if node.state == State::Ready && row.was != State::Ready {
        tx.tell(News::Ready);
    }
    if row.was.is_with_agent()
        && let Ok(job) = u64::try_from(row.id)
    {
        tx.tell(News::Attempt(AttemptId {
            job: JobId(job),
            attempt: node.attempt,
        }));
    }
    row.was = node.state;
    Ok(())
}

/// A job that was over waits anew: it has no place in any line from before.
fn queue_again(tx: &mut Transaction<'_>, row: &mut JobRow) -> Result<(), DatabaseError> {
    (row.lane, row.group) = (None, None);
    let now = tx.now();
    tx.execute(
        "UPDATE jobs SET queued_at = $1, offers = 0, started_at = NULL, \
         due = $1 - 60000 * (SELECT p.priority FROM pipelines p WHERE p.id = jobs.pipeline) WHERE id = $2",
        &[now.into(), row.id.into()],
    )?;
    Ok(())
}

/// The lane of jobs of a repository with these labels.
fn lane(tx: &mut Transaction<'_>, repository: i64, node: &Node) -> Result<i64, DatabaseError> {
    let labels: BTreeMap<&String, &String> = node.runs_on.iter().collect();
    let Value::Text(labels) = Value::json(&labels)? else {
        return Err(DatabaseError::Shape { column: 0 });
    };
    let known = tx.first(
        "SELECT id FROM lanes WHERE repository = $1 AND labels = $2",
        &[repository.into(), (&*labels).into()],
    )?;
    if let Some(row) = known {
        return row.int(0);
    }
    tx.one(
        "INSERT INTO lanes (repository, labels) VALUES ($1, $2) \
         ON CONFLICT (repository, labels) DO UPDATE SET labels = excluded.labels RETURNING id",
        &[repository.into(), (&*labels).into()],
    )?
    .int(0)
}

/// The group of this name.
pub(crate) fn group_id(
    tx: &mut Transaction<'_>,
    repository: i64,
    scope: &'static str,
    group: &Group,
) -> Result<i64, DatabaseError> {
    tx.one(
        "INSERT INTO groups_of (repository, scope, name) VALUES ($1, $2, $3) \
         ON CONFLICT (repository, scope, name) DO UPDATE SET name = excluded.name RETURNING id",
        &[repository.into(), scope.into(), (&group.name).into()],
    )?
    .int(0)
}
