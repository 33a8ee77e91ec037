//! What a job waits for before its first step.

use protocol::Cause;
use tokio::sync::watch;

use super::Board;
use crate::executor::context::{CancelLevel, cancelled};
use crate::executor::deadline::{Deadline, reached};
use crate::executor::outcome::StepOutcome;
use crate::executor::stop::Reason;

/// Why a job's steps do not start.
#[derive(Debug)]
pub(in crate::executor) struct Obstacle {
    /// The service that has failed, or that was waited for.
    pub(in crate::executor) service: String,
    /// As if it were a step's.
    pub(in crate::executor) outcome: StepOutcome,
}

impl Obstacle {
    /// Why the job fails, where its conclusion does not say it.
    pub(in crate::executor) fn cause(&self) -> Option<Cause> {
        let cause = self.outcome.cause.clone();
        cause.filter(|cause| *cause != Cause::Cancelled)
    }
}

/// Waits until all services are ready.
pub(in crate::executor) async fn pass(
    board: &watch::Receiver<Board>,
    cancel: &watch::Receiver<CancelLevel>,
    deadline: Option<Deadline>,
) -> Result<(), Obstacle> {
    let mut settled = board.clone();
    let reason = tokio::select! {
        biased;
        // An error: there are none left, and none has failed.
        board = settled.wait_for(Board::is_settled) => match board {
            Ok(board) => match board.first_fallen() {
                Some(fallen) => Reason::Service(fallen.clone()),
                None => return Ok(()),
            },
            Err(_) => return Ok(()),
        },
        () = cancelled(cancel) => Reason::Cancelled,
        limit = reached(deadline) => Reason::Timeout(limit),
    };
    let service = match &reason {
        Reason::Service(fallen) => fallen.service.clone(),
        _ => board
            .borrow()
            .first_unready()
            .unwrap_or_default()
            .to_owned(),
    };
    Err(Obstacle {
        service,
        outcome: StepOutcome::stopped(&reason),
    })
}
