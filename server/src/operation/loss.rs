//! Attempts that come to no end of their own.

use protocol::service::{AgentId, AttemptId, AttemptState, Release, ReleaseReason};

use super::attempt::held;
use super::flow::Flow;
use super::remains::{self, What};
use crate::database::{News, OperationError, Transaction, Value, locking, word};
use crate::queue::watch::Lease;
use crate::queue::{Loss, RetryPolicy, unanswered, unreadable};

/// The agent gives the attempt back; whether that ended it. Idempotent: what is not its any more is given back.
pub(crate) fn release(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    id: AttemptId,
    release: &Release,
    policy: RetryPolicy,
) -> Result<bool, OperationError> {
    if held(tx, agent, id).is_err() {
        return Ok(false);
    }
    let state = match &release.reason {
        ReleaseReason::Declined | ReleaseReason::Unreadable { .. } => AttemptState::Lost,
        _ => AttemptState::Released,
    };
    lose(
        tx,
        id,
        &Loss::Released(release.reason.clone()),
        state,
        policy,
    )?;
    Ok(true)
}

/// An offer has not reached the agent that it was for.
pub(crate) fn take_back(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    id: AttemptId,
    policy: RetryPolicy,
) -> Result<(), OperationError> {
    let loss = Loss::Released(ReleaseReason::Declined);
    match held(tx, agent, id) {
        Ok(_) => lose(tx, id, &loss, AttemptState::Lost, policy),
        Err(_) => Ok(()),
    }
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
    // Whoever accepts it at this moment has done so before, or is told that it is too late.
    let lock = locking!(tx, "SELECT id FROM jobs WHERE id = $1");
    tx.query(lock, &[id.job.0.into()])?;
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
    if was_accepted {
        // Its logs stay, and what it has begun to send of artifacts does not.
        remains::note(tx, id, &What::Artifacts)?;
    }
    let offers = match (was_accepted, loss) {
        (true, _) => None,
        (false, Loss::Silent | Loss::Released(ReleaseReason::Unreadable { .. })) => {
            Some(offers(tx, id)?)
        }
        // Who says that it does not take it has read it.
        (false, _) => {
            tx.execute(
                "UPDATE jobs SET offers = offers - 1 WHERE id = $1 AND offers > 0",
                &[id.job.0.into()],
            )?;
            None
        }
    };
    let mut flow = Flow::new(tx);
    let (loaded, index) = flow.job(id.job)?;
    let node = &mut loaded.graph.nodes[index];
    if node.attempt != id.attempt || !node.state.is_with_agent() {
        return Ok(());
    }
    let end = match was_accepted {
        false => offers.and_then(|offers| match loss {
            Loss::Released(_) => unreadable(offers, loss),
            _ => unanswered(offers),
        }),
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

/// How often in a row a job was offered, and to whom last.
fn offers(tx: &mut Transaction<'_>, id: AttemptId) -> Result<(u32, String), OperationError> {
    let row = tx.one(
        "SELECT offers, COALESCE((SELECT a.name FROM agents a WHERE a.id = jobs.agent), 'one that was removed') \
         FROM jobs WHERE id = $1",
        &[id.job.0.into()],
    )?;
    Ok((row.number(0)?, row.text(1)?.to_owned()))
}
