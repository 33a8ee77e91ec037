//! Removes from the storage what the database has decided not to keep.

use std::time::Duration;

use tokio::sync::watch;

use crate::database::Database;
use crate::logs::{LogError, Logs};
use crate::operation::remains::{self, Remains, What};

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(1);

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
    for remains in claimed {
        let (id, what) = (remains.id, remains.what.clone());
        if let Err(error) = one(logs, &remains).await {
            tracing::warn!(%error, %id, ?what, "something stays in the storage that is not kept, and is removed later");
            continue;
        }
        let done = database.write(move |tx| remains::removed(tx, &remains, once_more));
        match done.await {
            Ok(()) => tracing::debug!(%id, ?what, "removed from the storage"),
            Err(error) => {
                tracing::warn!(%error, %id, ?what, "something is removed once more");
            }
        }
    }
    !is_last
}

async fn one(logs: &Logs, Remains { id, what }: &Remains) -> Result<(), LogError> {
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
