//! What the agent that holds an attempt says.

use protocol::service::{
    AgentId, AttemptId, AttemptState, Finish, Order, PipelineId, Problem, ProblemCode, Standing,
};

use super::flow::Flow;
use super::row::stopping;
use crate::database::{DatabaseError, News, OperationError, Transaction, Value, refuse, word};
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
    let row = tx.first(
        "SELECT pipeline, state, stopping, stopped_by, attempt, agent FROM jobs WHERE id = $1",
        &[id.job.0.into()],
    )?;
    let Some(row) = row else {
        return Err(fenced(id));
    };
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

/// The agent takes the attempt on. Idempotent. What was stopped in the meantime is refused, and over.
pub(crate) fn accept(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    id: AttemptId,
) -> Result<Result<(), OperationError>, OperationError> {
    let held = held(tx, agent, id)?;
    if held.state == State::Running {
        return Ok(Ok(()));
    }
    if held.stopping > Stopping::No || held.stopped_by_cell {
        let mut flow = Flow::new(tx);
        let (loaded, index) = flow.job(id.job)?;
        loaded.graph.give_back(index, None);
        flow.settle()?;
        return Ok(Err(fenced(id)));
    }
    let now = tx.now();
    let changed = tx.execute(
        "UPDATE jobs SET state = 'running', offers = 0, beat = beat + 1, started_at = $1 \
         WHERE id = $2 AND attempt = $3 AND agent = $4 AND state = 'assigned'",
        &[
            now.into(),
            id.job.0.into(),
            id.attempt.into(),
            agent.0.into(),
        ],
    )?;
    if changed == 0 {
        // The same call may have come twice, by way of two servers.
        let running = tx.first(
            "SELECT 1 FROM jobs WHERE id = $1 AND attempt = $2 AND agent = $3 AND state = 'running'",
            &[id.job.0.into(), id.attempt.into(), agent.0.into()],
        )?;
        return running.map_or_else(|| Err(fenced(id)), |_| Ok(Ok(())));
    }
    tx.execute(
        "INSERT INTO attempts (job, attempt, agent, state, started_at) VALUES ($1, $2, $3, 'running', $4)",
        &[id.job.0.into(), id.attempt.into(), agent.0.into(), now.into()],
    )?;
    tx.execute(
        "UPDATE pipelines SET state = 'running', started_at = COALESCE(started_at, $1) WHERE id = $2 AND state = 'queued'",
        &[now.into(), held.pipeline.0.into()],
    )?;
    tx.tell(News::Pipeline(held.pipeline));
    Ok(Ok(()))
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
        let row = tx.first(
            "UPDATE jobs SET beat = beat + 1 WHERE id = $1 AND attempt = $2 AND agent = $3 \
             AND state IN ('assigned', 'running') RETURNING stopping, stopped_by",
            &[id.job.0.into(), id.attempt.into(), agent.0.into()],
        )?;
        let order = match row {
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

/// The attempt is over, and everything of it is here: the caller has seen to its logs. Idempotent.
pub(crate) fn finish(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    id: AttemptId,
    finish: &Finish,
) -> Result<bool, OperationError> {
    if let Err(refusal) = held(tx, agent, id) {
        return match is_finished(tx, agent, id)? {
            true => Ok(false),
            false => Err(refusal),
        };
    }
    let cause = finish.cause.as_ref().map(Value::json).transpose()?;
    let now = tx.now();
    let changed = tx.execute(
        "UPDATE attempts SET state = $1, conclusion = $2, cause = $3, events = $4, finished_at = $5 \
         WHERE job = $6 AND attempt = $7 AND state = 'running'",
        &[
            word(&AttemptState::Finished)?,
            word(&finish.conclusion)?,
            cause.into(),
            finish.events.into(),
            now.into(),
            id.job.0.into(),
            id.attempt.into(),
        ],
    )?;
    if changed == 0 {
        return Err(fenced(id));
    }
    let mut flow = Flow::new(tx);
    let (loaded, index) = flow.job(id.job)?;
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
pub(crate) fn is_finished(
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

/// How many events of the attempt have come.
pub(crate) fn events(tx: &mut Transaction<'_>, id: AttemptId) -> Result<u64, OperationError> {
    let row = tx.first(
        "SELECT events FROM attempts WHERE job = $1 AND attempt = $2",
        &[id.job.0.into(), id.attempt.into()],
    )?;
    match row {
        Some(row) => Ok(row.number(0)?),
        None => refuse(ProblemCode::Conflict, "the attempt was not accepted yet"),
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
