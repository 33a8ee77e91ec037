//! Ends leases that are over, and forgets agents that were for one job.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::database::{Database, OperationError};
use crate::operation::{agent, attempt, loss};
use crate::queue::watch::{Lease, LeaseTerms};
use crate::queue::{RetryPolicy, Watch};

/// How often it looks, at most.
const PERIOD: Duration = Duration::from_secs(1);

/// What it goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) leases: LeaseTerms,
    pub(crate) policy: RetryPolicy,
    /// How long nothing may be heard of an agent that holds nothing.
    pub(crate) patience: Duration,
}

/// Looks again and again, until the server ends.
pub(crate) async fn sweep(database: Database, rules: Rules, mut ending: watch::Receiver<bool>) {
    let mut leases = Watch::new(rules.leases);
    let mut agents = Watch::new(LeaseTerms {
        accept: rules.patience,
        lease: rules.patience,
    });
    let period = PERIOD.min(rules.leases.accept / 4);
    loop {
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            () = tokio::time::sleep(period) => {}
        }
        if let Err(error) = end_leases(&database, &mut leases, rules.policy).await {
            tracing::warn!(%error, "leases cannot be looked at");
        }
        if let Err(error) = forget_agents(&database, &mut agents).await {
            tracing::warn!(%error, "agents for one job cannot be forgotten");
        }
    }
}

async fn end_leases(
    database: &Database,
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
