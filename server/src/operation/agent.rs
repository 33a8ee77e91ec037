//! Agents that have registered.

use std::collections::HashMap;

use protocol::service::{
    AgentDescription, AgentId, AgentInfo, AgentState, Agents, AttemptId, Drain, JobId, ProblemCode,
};

use super::control::take_all;
use crate::database::{Foresight, OperationError, Question, Row, Transaction, Value, refuse};
use crate::queue::watch::Lease;
use crate::queue::{Labels, RetryPolicy};

/// Agents of one page.
const PAGE: usize = 200;

/// An agent says anew what it is.
pub(crate) fn describe(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    description: &AgentDescription,
) -> Result<(), OperationError> {
    let now = tx.now();
    tx.execute(
        "UPDATE agents SET name = $1, description = $2, ephemeral = $3, seen_at = $4, beat = beat + 1 WHERE id = $5",
        &[
            (&description.name).into(),
            Value::json(description)?,
            description.ephemeral.into(),
            now.into(),
            agent.0.into(),
        ],
    )?;
    Ok(())
}

/// What hands jobs out has to know of an agent that asks: its labels; `None` while it drains.
pub(crate) fn asking(
    tx: &mut Transaction<'_>,
    agent: AgentId,
) -> Result<Option<Labels>, OperationError> {
    let Some(row) = tx.ask_first(&description(agent))? else {
        return refuse(ProblemCode::Unauthorized, "the agent is not known any more");
    };
    let description: AgentDescription = row.json(0)?;
    Ok((!row.is(1)?).then_some(description.labels))
}

/// What [`asking`] begins with.
pub(crate) fn foresee_asking(agent: AgentId) -> Foresight {
    Foresight::new([description(agent)])
}

fn description(agent: AgentId) -> Question {
    Question::new(
        "SELECT description, draining FROM agents WHERE id = $1",
        [agent.0.into()],
    )
}

/// The agent was heard of.
pub(crate) fn seen(tx: &mut Transaction<'_>, agent: AgentId) -> Result<(), OperationError> {
    let now = tx.now();
    tx.execute(
        "UPDATE agents SET seen_at = $1, beat = beat + 1 WHERE id = $2",
        &[now.into(), agent.0.into()],
    )?;
    Ok(())
}

/// Agents that are for one job, and how often something was heard of each: who does not see that grow knows that it has gone,
/// whatever clocks say.
pub(crate) fn ephemeral(tx: &mut Transaction<'_>) -> Result<Vec<Lease>, OperationError> {
    let rows = tx.query(
        "SELECT id, beat FROM agents WHERE ephemeral <> 0 ORDER BY id LIMIT 10000",
        &[],
    )?;
    let lease = |row: &Row| {
        Ok(Lease {
            job: row.int(0)?,
            attempt: 0,
            beat: row.int(1)?,
            accepted: true,
        })
    };
    rows.iter().map(lease).collect()
}

/// Forgets an agent that holds nothing, unless something was heard of it in the meantime.
pub(crate) fn forget(tx: &mut Transaction<'_>, agent: &Lease) -> Result<bool, OperationError> {
    let gone = tx.execute(
        "DELETE FROM agents WHERE id = $1 AND beat = $2 AND NOT EXISTS \
         (SELECT 1 FROM jobs WHERE jobs.agent = agents.id AND jobs.state IN ('assigned', 'running'))",
        &[agent.job.into(), agent.beat.into()],
    )?;
    if gone > 0 {
        tx.execute("DELETE FROM tokens WHERE agent = $1", &[agent.job.into()])?;
    }
    Ok(gone > 0)
}

/// What agents hold, of all or of one.
fn holds(
    tx: &mut Transaction<'_>,
    of: Option<AgentId>,
) -> Result<HashMap<u64, Vec<AttemptId>>, OperationError> {
    let rows = match of {
        None => tx.query(
            "SELECT agent, id, attempt FROM jobs WHERE state IN ('assigned', 'running') ORDER BY id",
            &[],
        ),
        Some(agent) => tx.query(
            "SELECT agent, id, attempt FROM jobs WHERE state IN ('assigned', 'running') AND agent = $1 ORDER BY id",
            &[agent.0.into()],
        ),
    }?;
    let mut holds: HashMap<u64, Vec<AttemptId>> = HashMap::new();
    for row in &rows {
        let id = AttemptId {
            job: JobId(row.number(1)?),
            attempt: row.number(2)?,
        };
        holds.entry(row.number(0)?).or_default().push(id);
    }
    Ok(holds)
}

/// How long nothing may be heard of an agent that counts as online, milliseconds: what a lease lasts.
pub(crate) type Patience = u64;

fn info(
    row: &Row,
    now: u64,
    patience: Patience,
    holds: &mut HashMap<u64, Vec<AttemptId>>,
) -> Result<AgentInfo, OperationError> {
    let id: u64 = row.number(0)?;
    let seen_at: u64 = row.number(4)?;
    Ok(AgentInfo {
        id: AgentId(id),
        description: row.json(1)?,
        // A time that is yet to come is of a clock that was wrong.
        state: match now.abs_diff(seen_at) > patience {
            true => AgentState::Offline,
            false => AgentState::Online,
        },
        draining: row.is(2)?,
        holds: holds.remove(&id).unwrap_or_default(),
        created_at: row.number(3)?,
        seen_at,
    })
}

/// A page of agents behind `after`.
pub(crate) fn list(
    tx: &mut Transaction<'_>,
    after: u64,
    patience: Patience,
) -> Result<Agents, OperationError> {
    let mut holds = holds(tx, None)?;
    let now = tx.now();
    let rows = tx.query(
        "SELECT id, description, draining, created_at, seen_at FROM agents WHERE id > $1 ORDER BY id LIMIT $2",
        &[after.into(), (PAGE + 1).into()],
    )?;
    let agents = rows.iter().take(PAGE);
    let agents: Result<Vec<AgentInfo>, _> = agents
        .map(|row| info(row, now, patience, &mut holds))
        .collect();
    let agents = agents?;
    let next = (rows.len() > PAGE).then(|| agents.last().map(|agent| agent.id.0));
    Ok(Agents {
        agents,
        next: next.flatten(),
    })
}

/// One agent.
pub(crate) fn get(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    patience: Patience,
) -> Result<AgentInfo, OperationError> {
    let mut holds = holds(tx, Some(agent))?;
    let now = tx.now();
    let row = tx.first(
        "SELECT id, description, draining, created_at, seen_at FROM agents WHERE id = $1",
        &[agent.0.into()],
    )?;
    match row {
        Some(row) => info(&row, now, patience, &mut holds),
        None => refuse(ProblemCode::NotFound, format!("there is no agent {agent}")),
    }
}

/// An agent takes no more jobs, or does again.
pub(crate) fn drain(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    draining: bool,
) -> Result<Drain, OperationError> {
    let changed = tx.execute(
        "UPDATE agents SET draining = $1 WHERE id = $2",
        &[draining.into(), agent.0.into()],
    )?;
    if changed == 0 {
        return refuse(ProblemCode::NotFound, format!("there is no agent {agent}"));
    }
    let holds = holds(tx, Some(agent))?.remove(&agent.0);
    Ok(Drain {
        draining,
        holds: holds.unwrap_or_default(),
    })
}

/// Forgets an agent: its token does not count any more, and what it holds is taken from it.
pub(crate) fn remove(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    policy: RetryPolicy,
) -> Result<(), OperationError> {
    let gone = tx.execute("DELETE FROM agents WHERE id = $1", &[agent.0.into()])?;
    if gone == 0 {
        return refuse(ProblemCode::NotFound, format!("there is no agent {agent}"));
    }
    tx.execute("DELETE FROM tokens WHERE agent = $1", &[agent.0.into()])?;
    take_all(tx, agent.0, policy)
}
