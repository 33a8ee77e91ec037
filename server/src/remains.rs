//! Removes from the storage what the database has decided not to keep.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::watch;

use crate::database::Database;
use crate::logs::{LogError, Logs};
use crate::operation::remains::{self, Remains, What};

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(1);

/// So many are removed at once: most of the time of each is a bucket's.
const AT_ONCE: usize = 32;

/// Removes what is not kept, until the server ends; what was on its way then so much later. Several servers may do so at once.
pub(crate) async fn remove(
    database: Database,
    logs: Logs,
    once_more: Duration,
    mut ending: watch::Receiver<bool>,
) {
    if let Err(error) = database.write(remains::start).await {
        // Then it is removed when it was to be.
        tracing::warn!(%error, "what is to be removed cannot be looked for");
    }
    loop {
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        while !*ending.borrow() && some(&database, &logs, once_more).await {}
    }
}

/// Removes some; answers whether there may be more.
async fn some(database: &Database, logs: &Logs, once_more: Duration) -> bool {
    match database.read(remains::is_due).await {
        Ok(true) => {}
        Ok(false) => return false,
        Err(error) => {
            tracing::warn!(%error, "what is to be removed cannot be looked for");
            return false;
        }
    }
    let claimed = match database.write(remains::claim).await {
        Ok(claimed) => claimed,
        Err(error) => {
            tracing::warn!(%error, "what is to be removed cannot be looked for");
            return false;
        }
    };
    let is_last = claimed.is_empty();
    let removing = stream::iter(claimed).map(|remains| one(database, logs, remains, once_more));
    removing.buffer_unordered(AT_ONCE).collect::<()>().await;
    !is_last
}

/// Removes one, and says so.
async fn one(database: &Database, logs: &Logs, remains: Remains, once_more: Duration) {
    let (id, what) = (remains.id, remains.what.clone());
    if let Err(error) = from_storage(logs, &remains).await {
        tracing::warn!(%error, %id, ?what, "something stays in the storage that is not kept, and is removed later");
        return;
    }
    let done = database.write(move |tx| remains::removed(tx, &remains, once_more));
    match done.await {
        Ok(()) => tracing::debug!(%id, ?what, "removed from the storage"),
        Err(error) => tracing::warn!(%error, %id, ?what, "something is removed once more"),
    }
}

async fn from_storage(logs: &Logs, Remains { id, what, .. }: &Remains) -> Result<(), LogError> {
    // Who was let in before the database has decided writes to its end.
    let _alone = logs.alone(*id).await;
    match what {
        What::Attempt => logs.delete(*id).await?,
        What::Artifacts => logs.delete_artifacts(*id).await?,
        What::Stream(name) => logs.delete_stream(*id, name).await?,
    }
    logs.forget(*id);
    Ok(())
}
