//! What every unit of a run shares.

use std::future::pending;
use std::sync::Arc;

use protocol::Event;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::Settings;
use super::images::Images;
use super::message::Message;
use crate::backend::Backend;
use crate::log::RunDirectory;
use crate::sink::Queue;

/// How far somebody has gone in stopping a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CancelLevel {
    /// Not at all.
    None,
    /// Steps are asked to end.
    Terminate,
    /// Steps are killed.
    Kill,
}

/// Handles for the units; nothing in it is state of the run.
#[derive(Debug)]
pub(super) struct Context<B: Backend> {
    pub(super) backend: Arc<B>,
    pub(super) images: Images<B>,
    pub(super) settings: Settings,
    pub(super) logs: Arc<RunDirectory>,
    pub(super) queue: Queue,
    pub(super) messages: mpsc::UnboundedSender<Message>,
}

impl<B: Backend> Context<B> {
    /// Tells the dispatcher. It outlives every unit, so there is no one to tell that it does not listen.
    pub(super) fn tell(&self, message: Message) {
        let _ = self.messages.send(message);
    }

    /// Tells the dispatcher that a step is about to start, and waits until that is on its way to the user.
    pub(super) async fn tell_start(&self, event: Event) {
        let (told, wait) = oneshot::channel();
        self.tell(Message::StepStarting { event, told });
        let _ = wait.await;
    }
}

/// Waits until a job is being cancelled.
pub(super) async fn cancelled(cancel: &watch::Receiver<CancelLevel>) {
    let mut cancel = cancel.clone();
    if cancel
        .wait_for(|level| *level > CancelLevel::None)
        .await
        .is_err()
    {
        pending().await
    }
}

/// Waits for a point in time, for ever if there is none.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
