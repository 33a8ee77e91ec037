//! What the agent that holds an attempt says.

use protocol::service::{
    AgentId, AttemptId, AttemptState, Finish, Order, PipelineId, Problem, ProblemCode, Standing,
    StreamName,
};

use super::flow::Flow;
use super::leaves;
use super::loaded::load;
use super::row::stopping;
use crate::database::{
    DatabaseError, Foresight, News, OperationError, Outlook, Question, Row, Transaction, Value,
    refuse, word,
};
use crate::queue::watch::Lease;
use crate::queue::{End, State, Stopping};

/// An attempt as its agent finds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) pipeline: PipelineId,
    pub(crate) state: State,
    pub(crate) stopping: Stopping,
    /// The matrix stops it.
    stopped_by_cell: bool,
}

/// The attempt is not the agent's to write to.
pub(crate) fn fenced(id: AttemptId) -> OperationError {
    Problem::new(
        ProblemCode::Fenced,
        format!(
            "attempt {} of job {} is not this agent's, or is over",
            id.attempt, id.job
        ),
    )
    .help("end what runs for it and send nothing more")
    .into()
}

/// Looks whether the agent holds the attempt; everything that it writes depends on it.
pub(crate) fn held(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    id: AttemptId,
) -> Result<Held, OperationError> {
    let row = tx.ask_first(&holder(id))?;
    let row = row.ok_or_else(|| fenced(id))?;
    held_by(&row, agent, id)
}

fn holder(id: AttemptId) -> Question {
    Question::new(
        "SELECT pipeline, state, stopping, stopped_by, attempt, agent FROM jobs WHERE id = $1",
        [id.job.0.into()],
    )
}

/// The same with the job's plan.
fn holder_with_plan(id: AttemptId) -> Question {
    Question::new(
        "SELECT pipeline, state, stopping, stopped_by, attempt, agent, plan FROM jobs WHERE id = $1",
        [id.job.0.into()],
    )
}

/// The same, of a row that begins with the columns `pipeline, state, stopping, stopped_by, attempt, agent` of the job.
fn held_by(row: &Row, agent: AgentId, id: AttemptId) -> Result<Held, OperationError> {
    let state: State = row.word(1)?;
    let is_current = row.number::<u32>(4)? == id.attempt;
    let is_its = row.maybe_number::<u64>(5)? == Some(agent.0);
    if !(is_current && is_its && state.is_with_agent()) {
        return Err(fenced(id));
    }
    Ok(Held {
        pipeline: PipelineId(row.number(0)?),
        state,
        stopping: stopping(row.int(2)?),
        stopped_by_cell: row.maybe_text(3)?.is_some(),
    })
}

/// Looks whether the agent may write to the attempt, and, when a stream is given, whether the job has one of that name.
pub(crate) fn writes(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    id: AttemptId,
    stream: Option<&StreamName>,
) -> Result<(), OperationError> {
    let held = match stream {
        None => held(tx, agent, id)?,
        Some(stream) => {
            let row = tx.ask_first(&holder_with_plan(id))?;
            let row = row.ok_or_else(|| fenced(id))?;
            let held = held_by(&row, agent, id)?;
            leaves::check(id, &row.json(6)?, std::iter::once(stream))?;
            held
        }
    };
    match held.state {
        State::Running => Ok(()),
        _ => refuse(ProblemCode::Conflict, "the attempt was not accepted yet"),
    }
}

/// What [`writes`] begins with.
pub(crate) fn writing(id: AttemptId, stream: Option<&StreamName>) -> Foresight {
    Foresight::new([match stream {
        None => holder(id),
        Some(_) => holder_with_plan(id),
    }])
}

/// What [`accept`] begins with.
pub(crate) fn accepting(outlook: Outlook<'_>, agent: AgentId, id: AttemptId) -> Foresight {
    Foresight::new([taking(agent, id, outlook.now)])
}

fn taking(agent: AgentId, id: AttemptId, now: u64) -> Question {
    Question::new(
        "UPDATE jobs SET state = 'running', offers = 0, beat = beat + 1, started_at = $1 WHERE id = $2 AND attempt = $3 \
         AND agent = $4 AND state = 'assigned' AND stopping = 0 AND stopped_by IS NULL RETURNING pipeline",
        [
            now.into(),
            id.job.0.into(),
            id.attempt.into(),
            agent.0.into(),
        ],
    )
}

/// The agent takes the attempt on. Idempotent. What was stopped in the meantime is refused, and over.
pub(crate) fn accept(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    id: AttemptId,
) -> Result<Result<(), OperationError>, OperationError> {
    let now = tx.now();
    let taken = tx.ask_first(&taking(agent, id, now))?;
    let Some(taken) = taken else {
        let held = held(tx, agent, id)?;
        // The same call may have come twice, by way of two servers.
        if held.state == State::Running {
            return Ok(Ok(()));
        }
        if held.stopping > Stopping::No || held.stopped_by_cell {
            let mut flow = Flow::new(tx);
            let (loaded, index) = flow.job_of(held.pipeline, id.job)?;
            loaded.graph.give_back(index, None);
            flow.settle()?;
        }
        return Ok(Err(fenced(id)));
    };
    let pipeline = PipelineId(taken.number(0)?);
    tx.later(
        "INSERT INTO attempts (job, attempt, agent, state, started_at) VALUES ($1, $2, $3, 'running', $4)",
        &[id.job.0.into(), id.attempt.into(), agent.0.into(), now.into()],
    )?;
    tx.later(
        "UPDATE pipelines SET state = 'running', started_at = COALESCE(started_at, $1) WHERE id = $2 AND state = 'queued'",
        &[now.into(), pipeline.0.into()],
    )?;
    tx.tell(News::Pipeline(pipeline));
    Ok(Ok(()))
}

/// What [`heartbeat`] begins with.
pub(crate) fn foresee_heartbeat(agent: AgentId, ids: &[AttemptId]) -> Foresight {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    Foresight::new(ids.into_iter().map(|id| beating(agent, id)))
}

fn beating(agent: AgentId, id: AttemptId) -> Question {
    Question::new(
        "UPDATE jobs SET beat = beat + 1 WHERE id = $1 AND attempt = $2 AND agent = $3 \
         AND state IN ('assigned', 'running') RETURNING stopping, stopped_by",
        [id.job.0.into(), id.attempt.into(), agent.0.into()],
    )
}

/// Extends leases, and says what becomes of what the agent holds.
pub(crate) fn heartbeat(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    ids: &[AttemptId],
) -> Result<(Vec<Standing>, bool), OperationError> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let mut standings = Vec::with_capacity(ids.len());
    for id in ids {
        let order = match tx.ask_first(&beating(agent, id))? {
            None => Order::Lost,
            Some(row) => match (stopping(row.int(0)?), row.maybe_text(1)?) {
                (Stopping::No, None) => Order::Continue,
                (Stopping::No, Some(_)) | (Stopping::Cancel, _) => Order::Cancel,
                (Stopping::Abort, _) => Order::Abort,
            },
        };
        standings.push(Standing { id, order });
    }
    let now = tx.now();
    let row = tx.one(
        "UPDATE agents SET seen_at = $1, beat = beat + 1 WHERE id = $2 RETURNING draining",
        &[now.into(), agent.0.into()],
    )?;
    Ok((standings, row.is(0)?))
}

/// What has to be known before an attempt is finished.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finishing {
    pub(crate) pipeline: PipelineId,
    /// Events of it that have come.
    pub(crate) events: u64,
    /// The job may leave artifacts.
    pub(crate) leaves_archives: bool,
}

/// What [`finishing`] begins with.
pub(crate) fn looking(id: AttemptId) -> Foresight {
    Foresight::new([standing(id)])
}

fn standing(id: AttemptId) -> Question {
    Question::new(
        "SELECT j.pipeline, j.state, j.stopping, j.stopped_by, j.attempt, j.agent, j.plan, a.state, a.agent, a.events \
         FROM jobs j LEFT JOIN attempts a ON a.job = j.id AND a.attempt = $2 WHERE j.id = $1",
        [id.job.0.into(), id.attempt.into()],
    )
}

/// Looks whether an attempt can be finished that leaves these streams. `None`: it was finished before.
pub(crate) fn finishing(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    id: AttemptId,
    streams: &[StreamName],
) -> Result<Option<Finishing>, OperationError> {
    let row = tx.ask_first(&standing(id))?;
    let row = row.ok_or_else(|| fenced(id))?;
    let state: Option<AttemptState> = row.maybe_word(7)?;
    let is_its = row.maybe_number::<u64>(8)? == Some(agent.0);
    if is_its && state == Some(AttemptState::Finished) {
        return Ok(None);
    }
    let held = held_by(&row, agent, id)?;
    let leaving = row.json(6)?;
    leaves::check(id, &leaving, streams)?;
    match row.maybe_number(9)? {
        Some(events) => Ok(Some(Finishing {
            pipeline: held.pipeline,
            events,
            leaves_archives: leaving.has_archives(),
        })),
        None => refuse(ProblemCode::Conflict, "the attempt was not accepted yet"),
    }
}

/// What [`finish`] begins with.
pub(crate) fn foresee_end(
    outlook: Outlook<'_>,
    agent: AgentId,
    id: AttemptId,
    pipeline: PipelineId,
    finish: &Finish,
) -> Foresight {
    let (pipeline, load) = load(outlook, pipeline);
    Foresight::new(ending(agent, id, finish, outlook.now)).loading(pipeline, load)
}

/// What runs is the attempt that its agent holds: this is the fence.
fn ending(
    agent: AgentId,
    id: AttemptId,
    finish: &Finish,
    now: u64,
) -> Result<Question, DatabaseError> {
    let cause = finish.cause.as_ref().map(Value::json).transpose()?;
    Ok(Question::new(
        "UPDATE attempts SET state = $1, conclusion = $2, cause = $3, events = $4, finished_at = $5 \
         WHERE job = $6 AND attempt = $7 AND agent = $8 AND state = 'running' RETURNING job",
        [
            word(&AttemptState::Finished)?,
            word(&finish.conclusion)?,
            cause.into(),
            finish.events.into(),
            now.into(),
            id.job.0.into(),
            id.attempt.into(),
            agent.0.into(),
        ],
    ))
}

/// The attempt is over, and everything of it is here: the caller has seen to its logs. Idempotent.
pub(crate) fn finish(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    id: AttemptId,
    pipeline: PipelineId,
    finish: &Finish,
) -> Result<bool, OperationError> {
    let changed = tx.ask_first(&ending(agent, id, finish, tx.now())?)?;
    if changed.is_none() {
        return match is_finished(tx, agent, id)? {
            true => Ok(false),
            false => Err(fenced(id)),
        };
    }
    let mut flow = Flow::new(tx);
    let (loaded, index) = flow.job_of(pipeline, id.job)?;
    let node = &loaded.graph.nodes[index];
    if node.attempt != id.attempt || !node.state.is_with_agent() {
        return Err(fenced(id));
    }
    let end = End {
        conclusion: finish.conclusion,
        cause: finish.cause.clone(),
        outputs: finish.outputs.clone(),
    };
    loaded.graph.finish(index, end);
    flow.settle()?;
    Ok(true)
}

/// Whether this agent has finished this attempt before.
fn is_finished(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    id: AttemptId,
) -> Result<bool, DatabaseError> {
    let row = tx.first(
        "SELECT state, agent FROM attempts WHERE job = $1 AND attempt = $2",
        &[id.job.0.into(), id.attempt.into()],
    )?;
    match row {
        None => Ok(false),
        Some(row) => {
            let state: AttemptState = row.word(0)?;
            Ok(state == AttemptState::Finished && row.number::<u64>(1)? == agent.0)
        }
    }
}

/// Every attempt that an agent holds.
pub(crate) fn going_on(tx: &mut Transaction<'_>) -> Result<Vec<AttemptId>, OperationError> {
    let leases = leases(tx)?;
    let id = |lease: &Lease| {
        let job = u64::try_from(lease.job).ok()?;
        Some(AttemptId {
            job: protocol::service::JobId(job),
            attempt: lease.attempt,
        })
    };
    Ok(leases.iter().filter_map(id).collect())
}

/// Every lease there is.
pub(crate) fn leases(tx: &mut Transaction<'_>) -> Result<Vec<Lease>, OperationError> {
    let rows = tx.query(
        "SELECT id, attempt, beat, state FROM jobs WHERE state IN ('assigned', 'running')",
        &[],
    )?;
    let lease = |row: &crate::database::Row| {
        Ok(Lease {
            job: row.int(0)?,
            attempt: row.number(1)?,
            beat: row.int(2)?,
            accepted: row.word::<State>(3)? == State::Running,
        })
    };
    rows.iter().map(lease).collect()
}
