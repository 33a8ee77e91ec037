//! What users do to pipelines and jobs that are there.

use protocol::service::{AttemptId, AttemptState, JobId, PipelineId, Problem, ProblemCode, Retry};

use super::flow::Flow;
use super::loss::lose;
use crate::database::{News, OperationError, Transaction, locking, refuse};
use crate::queue::{Loss, RetryPolicy, State};

/// Stops a pipeline: what has not started does not, what runs is asked to end; the second time it is killed.
pub(crate) fn cancel_pipeline(
    tx: &mut Transaction<'_>,
    id: PipelineId,
) -> Result<(), OperationError> {
    let mut flow = Flow::new(tx);
    let loaded = flow.pipeline(id)?;
    if loaded.graph.conclusion().is_some() {
        return Ok(());
    }
    loaded.graph.cancel_all();
    // A pipeline that waits for its group ends without having had its place.
    loaded.graph.is_open = true;
    flow.settle()
}

/// Stops a job.
pub(crate) fn cancel_job(tx: &mut Transaction<'_>, id: JobId) -> Result<(), OperationError> {
    let mut flow = Flow::new(tx);
    let (loaded, index) = flow.job(id)?;
    loaded.graph.cancel(index);
    flow.settle()
}

/// Runs what did not succeed again, or everything.
pub(crate) fn retry_pipeline(
    tx: &mut Transaction<'_>,
    id: PipelineId,
    retry: Retry,
) -> Result<(), OperationError> {
    let mut flow = Flow::new(tx);
    let loaded = flow.pipeline(id)?;
    let nodes = loaded.graph.nodes.iter().enumerate();
    let again: Vec<usize> = nodes
        .filter(|(_, node)| node.state == State::Finished)
        .filter(|(_, node)| retry.all || !node.satisfies())
        .map(|(index, _)| index)
        .collect();
    if loaded.graph.nodes.is_empty() {
        let problem = Problem::new(
            ProblemCode::Conflict,
            format!("pipeline {id} has no jobs that could run again"),
        );
        return Err(problem.help("submit it anew").into());
    }
    if again.is_empty() {
        let problem = Problem::new(
            ProblemCode::Conflict,
            format!("no job of pipeline {id} is over without success"),
        );
        let help = match loaded.graph.conclusion() {
            Some(_) => "to run all of it again: `agent retry --all`",
            None => "it goes on: wait for its end, or stop it with `agent cancel`",
        };
        return Err(problem.help(help).into());
    }
    loaded.graph.retry(&again);
    flow.reopen(id)?;
    flow.settle()
}

/// Runs a job again that is over, and what has not run well because of it.
pub(crate) fn retry_job(tx: &mut Transaction<'_>, id: JobId) -> Result<(), OperationError> {
    let mut flow = Flow::new(tx);
    let (loaded, index) = flow.job(id)?;
    if loaded.graph.nodes[index].state != State::Finished {
        let help = match loaded.graph.nodes[index].state.is_with_agent() {
            true => "it runs: wait for its end, or stop it with `agent cancel`",
            false => "it has not run yet",
        };
        let problem = Problem::new(ProblemCode::Conflict, format!("job {id} is not over yet"));
        return Err(problem.help(help).into());
    }
    loaded.graph.retry(&[index]);
    let pipeline = loaded.id;
    flow.reopen(pipeline)?;
    flow.settle()
}

/// Lets a pipeline start that waits for a person.
pub(crate) fn approve_pipeline(
    tx: &mut Transaction<'_>,
    id: PipelineId,
) -> Result<(), OperationError> {
    let mut flow = Flow::new(tx);
    let loaded = flow.pipeline(id)?;
    if !loaded.needs_approval {
        let problem = Problem::new(
            ProblemCode::Conflict,
            format!("pipeline {id} asks for no approval"),
        );
        let help = "a job that waits for approval is approved by its own number";
        return Err(problem.help(help).into());
    }
    if loaded.graph.conclusion().is_some() {
        return refuse(ProblemCode::Conflict, format!("pipeline {id} is over"));
    }
    flow.approve(id)?;
    flow.settle()
}

/// Lets a job run that waits for a person.
pub(crate) fn approve(tx: &mut Transaction<'_>, id: JobId) -> Result<(), OperationError> {
    let mut flow = Flow::new(tx);
    let (loaded, index) = flow.job(id)?;
    let node = &loaded.graph.nodes[index];
    if !node.shape.approval {
        let problem = Problem::new(
            ProblemCode::Conflict,
            format!("job {id} asks for no approval"),
        );
        let pipeline = loaded.id;
        return Err(match loaded.needs_approval {
            true => problem.help(format!("pipeline {pipeline} does, as a whole")),
            false => problem,
        }
        .into());
    }
    if node.state == State::Finished {
        return refuse(ProblemCode::Conflict, format!("job {id} is over"));
    }
    loaded.graph.approve(index);
    flow.settle()
}

/// Takes everything from an agent that is no more.
pub(crate) fn take_all(
    tx: &mut Transaction<'_>,
    agent: u64,
    policy: RetryPolicy,
) -> Result<(), OperationError> {
    let sql = locking!(
        tx,
        "SELECT id, attempt FROM jobs WHERE agent = $1 AND state IN ('assigned', 'running') ORDER BY id"
    );
    for row in tx.query(sql, &[agent.into()])? {
        let id = AttemptId {
            job: JobId(row.number(0)?),
            attempt: row.number(1)?,
        };
        lose(tx, id, &Loss::Removed, AttemptState::Lost, policy)?;
        tx.tell(News::Attempt(id));
    }
    Ok(())
}
