//! Ends leases that are over, and forgets what is not needed any more: agents that were for one job, pipelines of long ago.

use std::time::{Duration, Instant};

use protocol::service::{AttemptId, JobId};
use tokio::sync::watch;

use crate::database::{Database, OperationError};
use crate::logs::Logs;
use crate::operation::{agent, attempt, expiry, loss};
use crate::queue::watch::{Lease, LeaseTerms};
use crate::queue::{RetryPolicy, Watch};

/// How often it looks, at most.
const PERIOD: Duration = Duration::from_secs(1);

/// How often it looks for pipelines of long ago, at most.
const EXPIRY_PERIOD: Duration = Duration::from_secs(60);

/// Pipelines that are forgotten without a pause for others.
const EXPIRED: usize = 100;

/// What it goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) leases: LeaseTerms,
    pub(crate) policy: RetryPolicy,
    /// How long nothing may be heard of an agent that holds nothing.
    pub(crate) patience: Duration,
    /// How long a pipeline that is over is kept.
    pub(crate) keep: Option<Duration>,
}

/// Looks again and again, until the server ends.
pub(crate) async fn sweep(
    database: Database,
    logs: Logs,
    rules: Rules,
    mut ending: watch::Receiver<bool>,
) {
    let mut leases = Watch::new(rules.leases);
    let mut agents = Watch::new(LeaseTerms {
        accept: rules.patience,
        lease: rules.patience,
    });
    let period = PERIOD.min(rules.leases.accept / 4);
    let mut expired_at: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            () = tokio::time::sleep(period) => {}
        }
        if let Err(error) = end_leases(&database, &logs, &mut leases, rules.policy).await {
            tracing::warn!(%error, "leases cannot be looked at");
        }
        if let Err(error) = forget_agents(&database, &mut agents).await {
            tracing::warn!(%error, "agents for one job cannot be forgotten");
        }
        let is_due = expired_at.is_none_or(|at| at.elapsed() >= EXPIRY_PERIOD.min(rules.patience));
        if let Some(keep) = rules.keep.filter(|_| is_due) {
            match expire(&database, &logs, keep).await {
                // There may be more.
                Ok(EXPIRED) => {}
                Ok(_) => expired_at = Some(Instant::now()),
                Err(error) => {
                    tracing::warn!(error, "pipelines of long ago cannot be forgotten");
                    expired_at = Some(Instant::now());
                }
            }
        }
    }
}

async fn end_leases(
    database: &Database,
    logs: &Logs,
    watch: &mut Watch,
    policy: RetryPolicy,
) -> Result<(), OperationError> {
    let leases = database.read(attempt::leases).await?;
    for lease in watch.look(&leases, Instant::now()) {
        if !database
            .write(move |tx| loss::expire(tx, &lease, policy))
            .await?
        {
            continue;
        }
        let Lease {
            job,
            attempt,
            accepted,
            ..
        } = lease;
        tracing::info!(job, attempt, accepted, "a lease is over");
        if let Ok(job) = u64::try_from(job) {
            let job = JobId(job);
            logs.lost(AttemptId { job, attempt }).await;
        }
    }
    Ok(())
}

async fn forget_agents(database: &Database, watch: &mut Watch) -> Result<(), OperationError> {
    let agents = database.read(agent::ephemeral).await?;
    for gone in watch.look(&agents, Instant::now()) {
        if database.write(move |tx| agent::forget(tx, &gone)).await? {
            tracing::info!(agent = gone.job, "an agent for one job is forgotten");
        }
    }
    Ok(())
}

/// Forgets pipelines that are over for longer than they are kept. Their logs go first: what is left half done is found again. How
/// many.
async fn expire(database: &Database, logs: &Logs, keep: Duration) -> Result<usize, String> {
    let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    let expired = database.read(move |tx| expiry::expired(tx, keep, EXPIRED));
    let expired = expired.await.map_err(|error| error.to_string())?;
    for old in &expired {
        for attempt in &old.attempts {
            let deleted = logs.delete(*attempt).await;
            deleted.map_err(|error| error.to_string())?;
        }
        let pipeline = old.pipeline;
        let forgotten = database.write(move |tx| expiry::forget(tx, pipeline));
        forgotten.await.map_err(|error| error.to_string())?;
    }
    if !expired.is_empty() {
        tracing::info!(
            pipelines = expired.len(),
            "pipelines of long ago are forgotten"
        );
    }
    Ok(expired.len())
}
