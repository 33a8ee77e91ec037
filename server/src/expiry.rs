//! Decides that what was kept for as long as it was to be is kept no longer: artifacts, caches, and pipelines with everything that came of
//! them. What they are in the storage is removed behind that ([`remains`](crate::remains)).
//!
//! What is old is told by the machine's clock, and what is removed does not come back. So nothing is removed right behind the
//! start, when a machine may not know the time yet, nor while its clock shows something else than it did then.

use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::database::{Database, OperationError};
use crate::operation::{artifact, cache, expiry};

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(60);

/// By so much the clock may have been set, milliseconds.
const ADJUSTED: u64 = 60_000;

/// Pipelines that are forgotten at a time.
const EXPIRED: usize = 100;

/// What it goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How long a pipeline that is over is kept.
    pub(crate) keep: Option<Duration>,
    /// How long a cache is kept that no job starts from.
    pub(crate) keep_caches: Option<Duration>,
    /// How long nothing is removed behind the start.
    pub(crate) doubt: Duration,
}

/// Removes artifacts, caches and pipelines whose time is over, until the server ends. Several servers may do so at once.
pub(crate) async fn expire(database: Database, rules: Rules, mut ending: watch::Receiver<bool>) {
    let started = Instant::now();
    let mut pause = rules.doubt.min(PERIOD);
    loop {
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = PERIOD;
        if started.elapsed() < rules.doubt || !is_time_known(&database).await {
            continue;
        }
        if let Err(error) = expire_artifacts(&database).await {
            tracing::warn!(%error, "artifacts whose time is over cannot be looked for");
        }
        if let Some(keep) = rules.keep_caches
            && let Err(error) = expire_caches(&database, keep).await
        {
            tracing::warn!(%error, "caches that nobody uses cannot be looked for");
        }
        if let Some(keep) = rules.keep
            && let Err(error) = forget(&database, keep).await
        {
            tracing::warn!(%error, "pipelines of long ago cannot be forgotten");
        }
    }
}

/// Whether the machine's clock shows what it should by what it showed at the start.
async fn is_time_known(database: &Database) -> bool {
    let Ok(known) = database.read(expiry::now).await else {
        return false;
    };
    let shown = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let shown = shown.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    });
    let is_known = shown.abs_diff(known) < ADJUSTED;
    if !is_known {
        tracing::warn!(
            "the machine's clock was set: nothing that is old is removed until the server is started again"
        );
    }
    is_known
}

/// Forgets pipelines that are over for longer than they are kept.
async fn forget(database: &Database, keep: Duration) -> Result<(), OperationError> {
    let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    let mut forgotten = 0_usize;
    loop {
        let expired = database
            .read(move |tx| expiry::expired(tx, keep, EXPIRED))
            .await?;
        let before = forgotten;
        for pipeline in &expired {
            let pipeline = *pipeline;
            let forgetting = database.write(move |tx| expiry::forget(tx, pipeline, keep));
            forgotten += usize::from(forgetting.await?);
        }
        if expired.len() < EXPIRED || forgotten == before {
            break;
        }
    }
    if forgotten > 0 {
        tracing::info!(pipelines = forgotten, "pipelines of long ago are forgotten");
    }
    Ok(())
}

/// Has artifacts expire whose time is over.
async fn expire_artifacts(database: &Database) -> Result<(), OperationError> {
    let mut all = 0;
    loop {
        let expired = database.write(artifact::expire_due).await?;
        all += expired;
        if expired == 0 {
            break;
        }
    }
    if all > 0 {
        tracing::info!(artifacts = all, "artifacts have expired");
    }
    Ok(())
}

/// Has caches expire that no job has started from for so long.
async fn expire_caches(database: &Database, keep: Duration) -> Result<(), OperationError> {
    let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    let mut all = 0;
    loop {
        let expired = database
            .write(move |tx| cache::expire_due(tx, keep))
            .await?;
        all += expired;
        if expired == 0 {
            break;
        }
    }
    if all > 0 {
        tracing::info!(caches = all, "caches have expired");
    }
    Ok(())
}
