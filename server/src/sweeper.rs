//! Ends leases that are over, and forgets agents that were for one job.

use std::time::{Duration, Instant};

use protocol::service::{AttemptId, JobId};
use tokio::sync::watch;

use crate::database::Database;
use crate::logs::Logs;
use crate::operation::{agent, attempt};
use crate::queue::watch::LeaseTerms;
use crate::queue::{RetryPolicy, Watch};

/// How often it looks, at most.
const PERIOD: Duration = Duration::from_secs(1);

/// Looks at every lease again and again, until the server ends.
pub(crate) async fn sweep(
    database: Database,
    logs: Logs,
    terms: LeaseTerms,
    policy: RetryPolicy,
    patience: u64,
    mut ending: watch::Receiver<bool>,
) {
    let mut watch = Watch::new(terms);
    let mut forgot = Instant::now();
    let period = PERIOD.min(terms.accept / 4);
    loop {
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            () = tokio::time::sleep(period) => {}
        }
        if forgot.elapsed() >= terms.lease {
            forgot = Instant::now();
            let forgotten = database.write(move |tx| agent::forget_ephemeral(tx, patience));
            match forgotten.await {
                Ok(0) => {}
                Ok(agents) => tracing::info!(agents, "agents for one job are forgotten"),
                Err(error) => tracing::warn!(%error, "agents for one job cannot be forgotten"),
            }
        }
        let leases = match database.read(attempt::leases).await {
            Ok(leases) => leases,
            Err(error) => {
                tracing::warn!(%error, "leases cannot be looked at");
                continue;
            }
        };
        for lease in watch.look(&leases, Instant::now()) {
            let ended = database
                .write(move |tx| attempt::expire(tx, &lease, policy))
                .await;
            match ended {
                Ok(true) => {
                    tracing::info!(
                        job = lease.job,
                        attempt = lease.attempt,
                        accepted = lease.accepted,
                        "a lease is over"
                    );
                    if let Ok(job) = u64::try_from(lease.job) {
                        logs.forget(AttemptId {
                            job: JobId(job),
                            attempt: lease.attempt,
                        });
                    }
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, job = lease.job, "a lease that is over cannot be ended")
                }
            }
        }
    }
}
