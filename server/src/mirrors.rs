//! Keeps what was fetched of repositories from growing without end.

use std::time::Duration;

use repository::{Keep, Mirrors};
use tokio::sync::watch;

/// How often mirrors are looked at.
const PRUNING: Duration = Duration::from_secs(60 * 60);

/// Prunes mirrors now and every hour, until the server ends.
pub(crate) async fn prune(mirrors: Mirrors, keep: Keep, mut ending: watch::Receiver<bool>) {
    loop {
        let all = mirrors.clone();
        match tokio::task::spawn_blocking(move || all.prune(&keep)).await {
            Ok(0) => {}
            Ok(mirrors) => tracing::info!(mirrors, "mirrors of repositories are removed"),
            Err(error) => tracing::warn!(%error, "mirrors of repositories cannot be pruned"),
        }
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            () = tokio::time::sleep(PRUNING) => {}
        }
    }
}
