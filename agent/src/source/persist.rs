//! Calls that are made until they are answered.

use std::future::Future;

use super::{Backoff, CallError};

/// Makes a call until the server has said something that will not change: its answer, or a refusal. A server that is away for
/// an hour is waited for that long.
///
/// # Errors
/// The refusal.
pub async fn persist<T, F: Future<Output = Result<T, CallError>>>(
    what: &str,
    mut call: impl FnMut() -> F,
) -> Result<T, CallError> {
    let mut backoff = Backoff::default();
    loop {
        match call().await {
            Err(error) if error.is_worth_another_attempt() => {
                let wait = backoff.wait();
                let wait = error.after().map_or(wait, |after| after.max(wait));
                tracing::debug!(%error, what, ?wait, "a call is made again");
                tokio::time::sleep(wait).await;
            }
            other => return other,
        }
    }
}
