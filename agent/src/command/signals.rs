//! Signals that ask the agent to stop.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::executor::Request;

/// Turns each `SIGINT`, `SIGTERM` and `SIGHUP` into a request to cancel. Must be called on a tokio runtime.
pub(super) fn forward(requests: &mpsc::UnboundedSender<Request>) -> io::Result<()> {
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ] {
        let mut signals = signal(kind)?;
        let requests = requests.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if requests.send(Request::Cancel).is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}
