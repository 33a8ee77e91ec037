//! Removes what was kept for as long as it was to be: artifacts, and pipelines with everything that came of them.
//!
//! What is old is told by the machine's clock, and what is removed does not come back. So nothing is removed right behind the
//! start, when a machine may not know the time yet, nor while its clock shows something else than it did then.

use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::database::Database;
use crate::logs::Logs;
use crate::operation::{artifact, expiry};

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
    /// How long nothing is removed behind the start.
    pub(crate) doubt: Duration,
}

/// Removes artifacts and pipelines whose time is over, until the server ends. Several servers may do so at once.
pub(crate) async fn expire(
    database: Database,
    logs: Logs,
    rules: Rules,
    mut ending: watch::Receiver<bool>,
) {
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
        while round(&database, &logs).await {}
        if let Some(keep) = rules.keep {
            forget(&database, &logs, keep).await;
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

/// Forgets pipelines that are over for longer than they are kept. Their logs go first: what is left half done is found again.
async fn forget(database: &Database, logs: &Logs, keep: Duration) {
    let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    let (mut forgotten, mut stuck) = (0_usize, 0_usize);
    loop {
        let expired = match database
            .read(move |tx| expiry::expired(tx, keep, EXPIRED, stuck))
            .await
        {
            Ok(expired) => expired,
            Err(error) => {
                tracing::warn!(%error, "pipelines of long ago cannot be looked for");
                break;
            }
        };
        let is_last = expired.len() < EXPIRED;
        for old in expired {
            let pipeline = old.pipeline;
            match forget_one(database, logs, old, keep).await {
                Ok(()) => forgotten += 1,
                // It does not stand in the way of others.
                Err(error) => {
                    stuck += 1;
                    tracing::warn!(error, pipeline, "a pipeline of long ago stays");
                }
            }
        }
        if is_last {
            break;
        }
    }
    if forgotten > 0 {
        tracing::info!(pipelines = forgotten, "pipelines of long ago are forgotten");
    }
}

async fn forget_one(
    database: &Database,
    logs: &Logs,
    old: expiry::Expired,
    keep: u64,
) -> Result<(), String> {
    let pipeline = old.pipeline;
    // Others came before it, which took their time.
    let still = database.read(move |tx| expiry::is_expired(tx, pipeline, keep));
    if !still.await.map_err(|error| error.to_string())? {
        return Ok(());
    }
    for attempt in old.attempts {
        let deleted = logs.delete(attempt).await;
        deleted.map_err(|error| error.to_string())?;
    }
    let forgotten = database.write(move |tx| expiry::forget(tx, pipeline, keep));
    forgotten.await.map_err(|error| error.to_string())
}

/// Removes some; answers whether there may be more.
async fn round(database: &Database, logs: &Logs) -> bool {
    let due = match database.read(artifact::due).await {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%error, "artifacts that have expired cannot be looked for");
            return false;
        }
    };
    let mut removed = 0_usize;
    for (id, name) in due {
        // Its bytes first: when this ends in between, it is done again.
        let removing = async {
            logs.remove(id, name.clone())
                .await
                .map_err(|error| error.to_string())?;
            let of = name.clone();
            database
                .write(move |tx| artifact::expire(tx, id, &of))
                .await
                .map_err(|error| error.to_string())
        };
        match removing.await {
            Ok(()) => {
                logs.forget(id);
                removed += 1;
            }
            Err(error) => tracing::warn!(error, %id, %name, "an artifact that has expired stays"),
        }
    }
    if removed > 0 {
        tracing::info!(removed, "artifacts have expired");
    }
    removed > 0
}
