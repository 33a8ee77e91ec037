//! What the agent that holds an attempt says.

use protocol::service::{
    AgentId, AttemptId, AttemptState, Finish, Order, PipelineId, Problem, ProblemCode, Release,
    ReleaseReason, Standing, StreamInfo,
};

use super::flow::Flow;
use super::row::stopping;
use crate::database::{
    DatabaseError, News, OperationError, Transaction, Value, locking, refuse, word,
};
use crate::queue::watch::Lease;
use crate::queue::{End, Loss, RetryPolicy, State, Stopping};

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
        "UPDATE jobs SET state = 'running', beat = beat + 1, started_at = $1 \
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
        "UPDATE agents SET seen_at = $1 WHERE id = $2 RETURNING draining",
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
) -> Result<(), OperationError> {
    if let Err(refusal) = held(tx, agent, id) {
        return match is_finished(tx, agent, id)? {
            true => Ok(()),
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
    flow.settle()
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

/// Notes what the logs of an attempt have become.
pub(crate) fn keep_streams(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    streams: &[StreamInfo],
) -> Result<(), DatabaseError> {
    for stream in streams {
        tx.execute(
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

/// The agent gives the attempt back. Idempotent: what is not its any more is given back.
pub(crate) fn release(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    id: AttemptId,
    release: &Release,
    policy: RetryPolicy,
) -> Result<(), OperationError> {
    if held(tx, agent, id).is_err() {
        return Ok(());
    }
    let is_declined = release.reason == ReleaseReason::Declined;
    let state = match is_declined {
        true => AttemptState::Lost,
        false => AttemptState::Released,
    };
    lose(
        tx,
        id,
        &Loss::Released(release.reason.clone()),
        state,
        policy,
    )
}

/// A lease is over, unless its counter has moved.
pub(crate) fn expire(
    tx: &mut Transaction<'_>,
    lease: &Lease,
    policy: RetryPolicy,
) -> Result<bool, OperationError> {
    let sql = locking!(
        tx,
        "SELECT id FROM jobs WHERE id = $1 AND attempt = $2 AND beat = $3 AND state IN ('assigned', 'running')"
    );
    let row = tx.first(
        sql,
        &[lease.job.into(), lease.attempt.into(), lease.beat.into()],
    )?;
    let Some(row) = row else {
        return Ok(false);
    };
    let id = AttemptId {
        job: protocol::service::JobId(row.number(0)?),
        attempt: lease.attempt,
    };
    lose(tx, id, &Loss::Silent, AttemptState::Lost, policy)?;
    Ok(true)
}

/// An attempt ends without a result.
pub(crate) fn lose(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    loss: &Loss,
    state: AttemptState,
    policy: RetryPolicy,
) -> Result<(), OperationError> {
    let now = tx.now();
    // An offer that was never accepted has no row: it counts as never made.
    let was_accepted = tx.execute(
        "UPDATE attempts SET state = $1, cause = $2, finished_at = $3 WHERE job = $4 AND attempt = $5 AND state = 'running'",
        &[
            word(&state)?,
            Value::json(&loss.cause())?,
            now.into(),
            id.job.0.into(),
            id.attempt.into(),
        ],
    )? > 0;
    let mut flow = Flow::new(tx);
    let (loaded, index) = flow.job(id.job)?;
    let node = &mut loaded.graph.nodes[index];
    if node.attempt != id.attempt || !node.state.is_with_agent() {
        return Ok(());
    }
    let end = match was_accepted {
        false => None,
        true => {
            node.lost += 1;
            policy.verdict(node.lost, loss)
        }
    };
    loaded.graph.give_back(index, end);
    flow.settle()?;
    tx.tell(News::Attempt(id));
    Ok(())
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
