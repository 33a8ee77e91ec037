//! What the units tell the dispatcher.

use protocol::Event;
use tokio::sync::oneshot;

use super::outcome::JobOutcome;

/// News from a unit.
#[derive(Debug)]
pub(super) enum Message {
    /// Something to be told.
    Event(Event),
    /// A step is about to start; it waits until that has been told, so that its log cannot overtake it.
    StepStarting {
        /// [`Event::StepStarted`].
        event: Event,
        /// Answered when the event is in the sink's queue.
        told: oneshot::Sender<()>,
    },
    /// A job is over.
    JobFinished {
        /// Its position in the plan.
        job: usize,
        /// How.
        outcome: JobOutcome,
        /// Milliseconds since it started.
        duration_ms: u64,
    },
}
