//! Work that goes on to its end when whoever asked for it has gone.
//!
//! The handler of a request is dropped when its connection ends. What such work holds (the gate of an attempt) would be given up in
//! the midst of it, while threads that write for it go on.

use protocol::service::ProblemCode;
use tracing::Instrument as _;

use super::error::ApiError;

/// Waits for work that is not given up when the waiting is.
pub(super) async fn unbroken<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            // As if it had happened here.
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ApiError::new(
                ProblemCode::Unavailable,
                "the server is ending",
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Mutex, oneshot};

    use super::*;

    #[tokio::test]
    async fn who_hangs_up_takes_nothing_from_those_who_work_for_it() {
        let gate = Arc::new(Mutex::new(false));
        let entered = Arc::clone(&gate).lock_owned().await;
        let (go_on, wait) = oneshot::channel::<()>();
        let (begun, begins) = oneshot::channel::<()>();
        let asking = tokio::spawn(unbroken(async move {
            let mut entered = entered;
            let _ = begun.send(());
            let _ = wait.await;
            *entered = true;
            Ok(())
        }));
        begins.await.unwrap();
        asking.abort();
        assert!(asking.await.unwrap_err().is_cancelled());
        assert!(gate.try_lock().is_err());
        go_on.send(()).unwrap();
        assert!(*gate.lock().await);
    }
}
