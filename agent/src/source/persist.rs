//! Calls that are made until they are answered.

use std::future::Future;

use super::patience::{Patience, Trouble};
use super::{Backoff, CallError};

/// Makes a call until the server has said something that will not change: its answer, or a refusal. A server that is away for
/// an hour is waited for that long.
///
/// # Errors
/// The refusal.
pub async fn persist<T, F: Future<Output = Result<T, CallError>>>(
    what: &str,
    call: impl FnMut() -> F,
) -> Result<T, CallError> {
    persist_for(None, what, call).await
}

/// The same for as long as the patience lasts.
pub(super) async fn persist_for<T, F: Future<Output = Result<T, CallError>>>(
    patience: Option<Patience>,
    what: &str,
    mut call: impl FnMut() -> F,
) -> Result<T, CallError> {
    let mut backoff = Backoff::default();
    let mut trouble = Trouble::new(patience);
    loop {
        match call().await {
            Err(error) if error.is_worth_another_attempt() => {
                let wait = backoff.wait();
                let wait = error.after().map_or(wait, |after| after.max(wait));
                tracing::debug!(%error, what, ?wait, "a call is made again");
                let wait = trouble.failed(error, wait)?;
                tokio::time::sleep(wait).await;
            }
            other => {
                trouble.over();
                return other;
            }
        }
    }
}
