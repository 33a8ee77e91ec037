//! A pipeline on its way from its rows to the policy's graph and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pipelines::plan::Job;
use protocol::Conclusion;
use protocol::service::{AttemptId, JobId, PipelineId, Problem, ProblemCode, Trigger};

use super::lane::{group_id, lane};
use super::row::node_of;
use crate::database::{
    DatabaseError, Dialect, News, OperationError, Outlook, Question, Transaction, Value, word,
};
use crate::queue::{Graph, Node, State, Structure};

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
    /// Nothing of it starts before a person has agreed.
    pub(super) needs_approval: bool,
    /// The lanes that are known, by labels.
    pub(super) lanes: BTreeMap<String, i64>,
}

/// What of a job's row the graph does not know.
#[derive(Debug)]
pub(crate) struct JobRow {
    pub(crate) id: i64,
    lane: Option<i64>,
    group: Option<i64>,
    was: State,
    /// It has no row yet.
    fresh: Option<Fresh>,
}

/// What a job's row begins with.
#[derive(Debug)]
pub(super) struct Fresh {
    /// The plan of this job alone, JSON.
    pub(super) plan: Value<'static>,
    pub(super) due: i64,
    /// Where ids are given ahead.
    pub(super) id: Option<i64>,
}

impl JobRow {
    /// A job that is to be written for the first time.
    pub(super) const fn fresh(fresh: Fresh) -> Self {
        Self {
            id: 0,
            lane: None,
            group: None,
            was: State::Waiting,
            fresh: Some(fresh),
        }
    }

    /// The id that it is to have.
    pub(super) const fn give(&mut self, id: Option<i64>) {
        if let Some(fresh) = &mut self.fresh {
            fresh.id = id;
        }
    }
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

/// With what does not change as the last column, or without.
macro_rules! pipeline {
    ($more:literal) => {
        concat!(
            "SELECT repository, state, conclusion, group_of, cancelled, approval",
            $more,
            " FROM pipelines WHERE id = $1"
        )
    };
}
macro_rules! jobs {
    ($more:literal) => {
        concat!(
            "SELECT id, lane, group_of, state, conclusion, cause, allowed, failed, outputs, approved, stopping, \
             stopped_by, attempt, lost, (SELECT g.name FROM groups_of g WHERE g.id = jobs.group_of), \
             (SELECT l.labels FROM lanes l WHERE l.id = jobs.lane)",
            $more,
            " FROM jobs WHERE pipeline = $1 ORDER BY place"
        )
    };
}

/// What is asked of a pipeline and of its jobs.
const fn texts(is_known: bool, locks: bool) -> (&'static str, &'static str) {
    match (is_known, locks) {
        (true, false) => (pipeline!(""), jobs!("")),
        (false, false) => (pipeline!(", trigger_of"), jobs!(", shape")),
        (true, true) => (concat!(pipeline!(""), " FOR UPDATE"), jobs!("")),
        (false, true) => (
            concat!(pipeline!(", trigger_of"), " FOR UPDATE"),
            jobs!(", shape"),
        ),
    }
}

/// The pipeline that [`lock`] is going to load, and what it asks, where the database is shared.
pub(super) fn load(outlook: Outlook<'_>, id: PipelineId) -> (i64, [Question; 2]) {
    let id = i64::try_from(id.0).unwrap_or(i64::MAX);
    let is_known = outlook.structures.get(id).is_some();
    let (pipeline, jobs) = texts(is_known, true);
    let question = |text| Question::new(text, [id.into()]);
    (id, [pipeline, jobs].map(question))
}

/// Loads a pipeline to look at it.
pub(crate) fn peek(tx: &mut Transaction<'_>, id: PipelineId) -> Result<Loaded, OperationError> {
    read(tx, i64::try_from(id.0).unwrap_or(i64::MAX), false)
}

/// Loads a pipeline, and keeps others from changing it until the transaction ends. Its jobs are not locked: agents may be given them
/// and take them on meanwhile, and what is written here then finds another job than was read, which [`update`] looks at. To lock
/// a thousand jobs because one of them ends would cost as much as writing them.
pub(super) fn lock(tx: &mut Transaction<'_>, id: i64) -> Result<Loaded, OperationError> {
    let locks = tx.dialect() == Dialect::Postgres;
    read(tx, id, locks)
}

fn read(tx: &mut Transaction<'_>, id: i64, locks: bool) -> Result<Loaded, OperationError> {
    let known = tx.structures().get(id);
    let (pipeline, jobs) = texts(known.is_some(), locks);
    let Some(row) = tx.first(pipeline, &[id.into()])? else {
        return Err(not_found("pipeline", id));
    };
    let jobs = tx.query(jobs, &[id.into()])?;
    let structure = match known {
        Some(known) => known,
        None => {
            let trigger: Trigger = row.json(6)?;
            let shapes = jobs.iter().map(|row| row.json(16).map(Arc::new));
            let shapes: Result<Vec<Arc<Job>>, _> = shapes.collect();
            let structure = Arc::new(Structure::new(shapes?, trigger.into_context()));
            tx.structures().insert(id, &structure);
            structure
        }
    };
    let mut nodes: Vec<Node> = Vec::with_capacity(jobs.len());
    let mut rows = Vec::with_capacity(jobs.len());
    for (job, shape) in jobs.iter().zip(&structure.shapes) {
        let node = node_of(job, 3, Arc::clone(shape))?;
        rows.push(JobRow {
            id: job.int(0)?,
            lane: job.maybe_int(1)?,
            group: job.maybe_int(2)?,
            was: node.state,
            fresh: None,
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
        needs_approval: row.is(5)?,
        lanes: BTreeMap::new(),
    })
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
        row.lane = Some(lane(tx, loaded.repository, node, &mut loaded.lanes)?);
    }
    if let (None, Some(group)) = (row.group, &node.group) {
        row.group = Some(group_id(tx, loaded.repository, "job", group)?);
    }
    if let Some(group) = row.group
        && (leaves || node.state == State::Held)
    {
        groups.insert(group);
    }
    match row.fresh.take() {
        Some(fresh) => row.id = insert(tx, loaded.id, index, node, row, &fresh)?,
        None => update(tx, node, row)?,
    }
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

/// Writes a job for the first time; its id.
fn insert(
    tx: &mut Transaction<'_>,
    pipeline: PipelineId,
    place: usize,
    node: &Node,
    row: &JobRow,
    fresh: &Fresh,
) -> Result<i64, DatabaseError> {
    let now = tx.now();
    let end = node.end.as_ref();
    let finished_at = (node.state == State::Finished).then_some(now);
    let outputs = end.map(|end| Value::json(&end.outputs)).transpose()?;
    let cause = end.and_then(|end| end.cause.as_ref());
    let cause = cause.map(Value::json).transpose()?;
    insert_as(
        tx,
        fresh.id,
        "INSERT INTO jobs (pipeline, place, name, shape, plan, state, conclusion, cause, allowed, failed, outputs, \
         stopped_by, lane, group_of, due, created_at, queued_at, finished_at, id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16, $17, $18) RETURNING id",
        &[
            pipeline.0.into(),
            place.into(),
            (&node.shape.id).into(),
            Value::json(&*node.shape)?,
            fresh.plan.clone(),
            word(&node.state)?,
            word(&end.map(|end| end.conclusion))?,
            cause.into(),
            node.allowed.into(),
            node.failed.into(),
            outputs.into(),
            node.stopped_by.as_ref().into(),
            row.lane.into(),
            row.group.into(),
            fresh.due.into(),
            now.into(),
            finished_at.into(),
            fresh.id.into(),
        ],
    )
}

/// Writes a row with the id that is its last value, or the next one that the database gives.
pub(super) fn insert_as(
    tx: &mut Transaction<'_>,
    id: Option<i64>,
    sql: &'static str,
    values: &[Value<'_>],
) -> Result<i64, DatabaseError> {
    match id {
        Some(id) => tx.later(sql, values).map(|()| id),
        None => tx.one(sql, values)?.int(0),
    }
}

/// Writes a job that is still as it was read; otherwise the operation has to look again.
fn update(tx: &mut Transaction<'_>, node: &Node, row: &JobRow) -> Result<(), DatabaseError> {
    let now = tx.now();
    let end = node.end.as_ref();
    let finished_at = (node.state == State::Finished).then_some(now);
    let outputs = end.map(|end| Value::json(&end.outputs)).transpose()?;
    let cause = end.and_then(|end| end.cause.as_ref());
    let cause = cause.map(Value::json).transpose()?;
    tx.later_changing(
        "UPDATE jobs SET state = $1, conclusion = $2, cause = $3, allowed = $4, failed = $5, outputs = $6, \
         approved = $7, stopping = $8, stopped_by = $9, lane = $10, group_of = $11, lost = $12, finished_at = $13 \
         WHERE id = $14 AND state = $15 AND attempt = $16",
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
            word(&row.was)?,
            node.attempt.into(),
        ],
    )
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
