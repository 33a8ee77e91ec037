//! Carries what the policy decides about pipelines into the database, and on to other pipelines: the end of one job may end its
//! pipeline, which lets another one of its group start.
//!
//! ```text
//! Flow::pipeline (loads, locks) -> the caller tells the graph what happened -> Flow::settle: graphs, rows, groups, until nothing moves
//! ```

use std::collections::{BTreeMap, BTreeSet};

use pipelines::plan::Job;
use protocol::Conclusion;
use protocol::service::{AttemptId, JobId, PipelineId, Problem, ProblemCode, Trigger};

use super::row::node_of;
use crate::database::{
    DatabaseError, Dialect, News, OperationError, Transaction, Value, locking, word,
};
use crate::queue::{Graph, Group, Node, State};

/// A pipeline that is loaded.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) repository: i64,
    pub(crate) graph: Graph,
    pub(crate) rows: Vec<JobRow>,
    state: String,
    conclusion: Option<Conclusion>,
    group: Option<i64>,
    was_cancelled: bool,
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

/// Pipelines that change together.
#[derive(Debug)]
pub(crate) struct Flow<'f, 't> {
    tx: &'f mut Transaction<'t>,
    loaded: BTreeMap<i64, Loaded>,
    /// Groups that have a place to give, perhaps.
    job_groups: BTreeSet<i64>,
    pipeline_groups: BTreeSet<i64>,
}

impl<'f, 't> Flow<'f, 't> {
    pub(crate) const fn new(tx: &'f mut Transaction<'t>) -> Self {
        Self {
            tx,
            loaded: BTreeMap::new(),
            job_groups: BTreeSet::new(),
            pipeline_groups: BTreeSet::new(),
        }
    }

    /// Loads a pipeline, and keeps others from changing it until the transaction ends.
    pub(crate) fn pipeline(&mut self, id: PipelineId) -> Result<&mut Loaded, OperationError> {
        let id = i64::try_from(id.0).unwrap_or(i64::MAX);
        if !self.loaded.contains_key(&id) {
            let loaded = lock(self.tx, id)?;
            self.loaded.insert(id, loaded);
        }
        self.loaded
            .get_mut(&id)
            .ok_or_else(|| not_found("pipeline", id))
    }

    /// Loads the pipeline of a job; and the job's place in it.
    pub(crate) fn job(&mut self, job: JobId) -> Result<(&mut Loaded, usize), OperationError> {
        let row = self
            .tx
            .first("SELECT pipeline FROM jobs WHERE id = $1", &[job.0.into()])?;
        let Some(row) = row else {
            return Err(not_found("job", job.0));
        };
        let loaded = self.pipeline(PipelineId(row.number(0)?))?;
        let place = loaded.place(job).ok_or_else(|| not_found("job", job.0))?;
        Ok((loaded, place))
    }

    /// A pipeline's group is to be looked at: it has a new member.
    pub(crate) fn look_at_group(&mut self, group: i64) {
        self.pipeline_groups.insert(group);
    }

    /// Lets everything go as far as it can, and writes it.
    pub(crate) fn settle(mut self) -> Result<(), OperationError> {
        loop {
            let ids: Vec<i64> = self.loaded.keys().copied().collect();
            for id in ids {
                self.settle_one(id)?;
            }
            if let Some(group) = self.pipeline_groups.pop_first() {
                self.give_pipeline_place(group)?;
            } else if let Some(group) = self.job_groups.pop_first() {
                self.give_job_place(group)?;
            } else {
                return Ok(());
            }
        }
    }

    fn settle_one(&mut self, id: i64) -> Result<(), OperationError> {
        let Some(loaded) = self.loaded.get_mut(&id) else {
            return Ok(());
        };
        loaded.graph.settle();
        for index in 0..loaded.rows.len() {
            if std::mem::take(&mut loaded.graph.nodes[index].changed) {
                let groups = &mut self.job_groups;
                save(self.tx, loaded, index, groups)?;
            }
        }
        let conclusion = loaded.graph.conclusion();
        if loaded.was_cancelled != loaded.graph.cancelled {
            loaded.was_cancelled = loaded.graph.cancelled;
            self.tx.execute(
                "UPDATE pipelines SET cancelled = $1 WHERE id = $2",
                &[loaded.was_cancelled.into(), id.into()],
            )?;
        }
        if conclusion != loaded.conclusion {
            loaded.conclusion = conclusion;
            let finished_at = conclusion.is_some().then(|| self.tx.now());
            loaded.state = match conclusion {
                Some(_) => "finished",
                None if loaded.graph.has_started() => "running",
                None => "queued",
            }
            .to_owned();
            self.tx.execute(
                "UPDATE pipelines SET state = $1, conclusion = $2, finished_at = $3 WHERE id = $4",
                &[
                    (&loaded.state).into(),
                    word(&conclusion)?,
                    finished_at.into(),
                    id.into(),
                ],
            )?;
            if conclusion.is_some() {
                self.pipeline_groups.extend(loaded.group);
            }
        }
        Ok(())
    }

    /// Lets the next job of a group in, when none has its place.
    fn give_job_place(&mut self, group: i64) -> Result<(), OperationError> {
        let lock = locking!(self.tx, "SELECT id FROM groups_of WHERE id = $1");
        self.tx.query(lock, &[group.into()])?;
        let rows = self.tx.query(
            "SELECT id, pipeline, state FROM jobs WHERE group_of = $1 AND state <> 'finished' ORDER BY id",
            &[group.into()],
        )?;
        let mut held = Vec::new();
        let mut with_place = Vec::new();
        for row in &rows {
            let member = (JobId(row.number(0)?), PipelineId(row.number(1)?));
            match row.word::<State>(2)? {
                State::Held => held.push(member),
                state if state.takes_place() => with_place.push(member),
                _ => {}
            }
        }
        if let Some(&(newest, pipeline)) = held.last() {
            let (loaded, index) = self.job(newest)?;
            let group = &loaded.graph.nodes[index].group;
            if group.as_ref().is_some_and(|group| group.cancels) {
                // Jobs of one run do not push each other out.
                let older = |member: &&(JobId, PipelineId)| member.1 < pipeline;
                for (job, _) in with_place.iter().chain(&held).filter(older) {
                    let (loaded, index) = self.job(*job)?;
                    if loaded.graph.nodes[index].stopping == crate::queue::Stopping::No {
                        loaded.graph.cancel(index);
                    }
                }
                held.retain(|member| member.1 >= pipeline);
            }
        }
        if with_place.is_empty() {
            for (job, _) in held {
                let (loaded, index) = self.job(job)?;
                if loaded.graph.has_room(index) {
                    loaded.graph.admit(index);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Lets the next pipeline of a group start, when none has its place.
    fn give_pipeline_place(&mut self, group: i64) -> Result<(), OperationError> {
        let lock = locking!(self.tx, "SELECT id FROM groups_of WHERE id = $1");
        self.tx.query(lock, &[group.into()])?;
        let rows = self.tx.query(
            "SELECT id, state, cancels FROM pipelines WHERE group_of = $1 AND state <> 'finished' ORDER BY id",
            &[group.into()],
        )?;
        let mut members = Vec::new();
        for row in &rows {
            members.push((
                PipelineId(row.number(0)?),
                row.text(1)? == "held",
                row.is(2)?,
            ));
        }
        let newest = members.last().copied();
        if let Some((newest, true, true)) = newest {
            for (older, ..) in members.iter().filter(|member| member.0 < newest) {
                let loaded = self.pipeline(*older)?;
                if !loaded.graph.cancelled {
                    loaded.graph.cancel_all();
                }
            }
            members.retain(|member| !member.1 || member.0 == newest);
        }
        if members.iter().any(|member| !member.1) {
            return Ok(());
        }
        if let Some((next, ..)) = members.first() {
            let next = *next;
            self.tx.execute(
                "UPDATE pipelines SET state = 'queued' WHERE id = $1 AND state = 'held'",
                &[next.0.into()],
            )?;
            let loaded = self.pipeline(next)?;
            loaded.graph.is_open = true;
            "queued".clone_into(&mut loaded.state);
        }
        Ok(())
    }
}

fn not_found(what: &str, id: impl std::fmt::Display) -> OperationError {
    Problem::new(ProblemCode::NotFound, format!("there is no {what} {id}")).into()
}

const PIPELINE: &str = "SELECT repository, state, conclusion, group_of, cancelled, trigger_of FROM pipelines WHERE id = $1";
const JOBS: &str = "SELECT id, lane, group_of, shape, state, conclusion, cause, allowed, failed, outputs, approved, stopping, \
     stopped_by, attempt, lost, (SELECT g.name FROM groups_of g WHERE g.id = jobs.group_of), \
     (SELECT l.labels FROM lanes l WHERE l.id = jobs.lane) FROM jobs WHERE pipeline = $1 ORDER BY place";

/// Loads a pipeline to look at it.
pub(crate) fn peek(tx: &mut Transaction<'_>, id: PipelineId) -> Result<Loaded, OperationError> {
    load(tx, i64::try_from(id.0).unwrap_or(i64::MAX))
}

/// Loads a pipeline, and keeps others from changing it and its jobs until the transaction ends.
fn lock(tx: &mut Transaction<'_>, id: i64) -> Result<Loaded, OperationError> {
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
    load(tx, id)
}

fn load(tx: &mut Transaction<'_>, id: i64) -> Result<Loaded, OperationError> {
    let Some(row) = tx.first(PIPELINE, &[id.into()])? else {
        return Err(not_found("pipeline", id));
    };
    let jobs = tx.query(JOBS, &[id.into()])?;
    let mut nodes: Vec<Node> = Vec::with_capacity(jobs.len());
    let mut rows = Vec::with_capacity(jobs.len());
    for job in &jobs {
        let node = node_of(job, 3)?;
        rows.push(JobRow {
            id: job.int(0)?,
            lane: job.maybe_int(1)?,
            group: job.maybe_int(2)?,
            was: node.state,
        });
        nodes.push(node);
    }
    let trigger: Trigger = row.json(5)?;
    let state = row.text(1)?.to_owned();
    let cancelled = row.is(4)?;
    Ok(Loaded {
        repository: row.int(0)?,
        graph: Graph::new(nodes, trigger.context(), state != "held", cancelled),
        rows,
        conclusion: row.maybe_word(2)?,
        state,
        group: row.maybe_int(3)?,
        was_cancelled: cancelled,
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
fn save(
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

/// A job without what it does: what the queue needs of it.
pub(crate) fn shape(job: &Job) -> Job {
    Job {
        id: job.id.clone(),
        place: job.place.clone(),
        cell: job.cell.clone(),
        needs: job.needs.clone(),
        condition: job.condition.clone(),
        runs_on: job.runs_on.clone(),
        allow_failure: job.allow_failure,
        concurrency: job.concurrency.clone(),
        approval: job.approval,
        ..Job::new(&job.id, Vec::new())
    }
}
