//! Removes what was kept for as long as it was to be.

use std::time::Duration;

use tokio::sync::watch;

use crate::database::Database;
use crate::logs::Logs;
use crate::operation::artifact;

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(60);

/// Removes artifacts whose time is over, until the server ends. Several servers may do so at once.
pub(crate) async fn expire(database: Database, logs: Logs, mut ending: watch::Receiver<bool>) {
    loop {
        while round(&database, &logs).await {}
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
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
