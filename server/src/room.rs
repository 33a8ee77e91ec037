//! Keeps the artifacts of each repository within the limit of how many bytes they may have.

use std::time::Duration;

use tokio::sync::watch;

use crate::database::{Database, OperationError};
use crate::operation::room;

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(5);

/// Makes room where a repository has more than so many bytes, until the server ends. Several servers may do so at once.
pub(crate) async fn make(database: Database, most: Option<u64>, mut ending: watch::Receiver<bool>) {
    loop {
        if let Err(error) = everywhere(&database, most).await {
            tracing::warn!(%error, "repositories that have too much cannot be looked for");
        }
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

async fn everywhere(database: &Database, most: Option<u64>) -> Result<(), OperationError> {
    let repositories = database.read(move |tx| room::to_see_to(tx, most)).await?;
    for repository in repositories {
        let mut all = 0;
        loop {
            let step = database.write(move |tx| room::make(tx, repository, most));
            let expired = step.await?;
            all += expired;
            if expired == 0 {
                break;
            }
        }
        if all > 0 {
            tracing::info!(
                repository,
                artifacts = all,
                "artifacts have made room for others"
            );
        }
    }
    Ok(())
}
