//! What the units of a job know of its services.

use std::future::pending;

use pipelines::plan::Service;
use protocol::{Cause, Conclusion};
use tokio::sync::watch;

use crate::executor::Fault;
use crate::executor::outcome::StepOutcome;

/// A service that has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::executor) struct Fallen {
    /// Its name.
    pub(in crate::executor) service: String,
    /// What has become of it.
    why: Cause,
    /// [`Conclusion::Failure`] or [`Conclusion::Error`].
    pub(in crate::executor) conclusion: Conclusion,
    /// Given exactly if the conclusion is [`Conclusion::Error`].
    pub(in crate::executor) fault: Option<Fault>,
}

impl Fallen {
    /// `None` for an end that was asked for.
    pub(super) fn of(service: &str, outcome: &StepOutcome) -> Option<Self> {
        match (outcome.conclusion, &outcome.cause) {
            (Conclusion::Failure | Conclusion::Error, Some(cause)) => Some(Self {
                service: service.to_owned(),
                why: cause.clone(),
                conclusion: outcome.conclusion,
                fault: outcome.fault,
            }),
            _ => None,
        }
    }

    /// Why something that needs it fails.
    pub(in crate::executor) fn cause(&self) -> Cause {
        Cause::Service {
            service: self.service.clone(),
            why: Box::new(self.why.clone()),
        }
    }
}

/// How a job's services are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::executor) struct Board {
    /// Names of those that are not ready yet, in the order of the file.
    unready: Vec<String>,
    /// In the order in which they failed.
    fallen: Vec<Fallen>,
}

impl Board {
    /// The board before anything has happened.
    pub(in crate::executor) fn of(services: &[Service]) -> Self {
        Self {
            unready: services
                .iter()
                .map(|service| service.name.clone())
                .collect(),
            fallen: Vec::new(),
        }
    }

    pub(super) fn ready(&mut self, service: &str) {
        self.unready.retain(|name| name != service);
    }

    pub(super) fn fall(&mut self, fallen: Fallen) {
        self.fallen.push(fallen);
    }

    /// All are ready, or one never will be.
    pub(super) const fn is_settled(&self) -> bool {
        self.unready.is_empty() || !self.fallen.is_empty()
    }

    /// The first that has failed.
    pub(super) fn first_fallen(&self) -> Option<&Fallen> {
        self.fallen.first()
    }

    /// The first that is not ready.
    pub(super) fn first_unready(&self) -> Option<&str> {
        self.unready.first().map(String::as_str)
    }
}

/// What a step has to hear of its job's services.
#[derive(Debug, Clone)]
pub(in crate::executor) struct Watch {
    board: Option<watch::Receiver<Board>>,
    /// So many failures are known and taken as they are.
    known: usize,
}

impl Watch {
    /// Of a step that needs them.
    pub(in crate::executor) const fn all(board: watch::Receiver<Board>) -> Self {
        let board = Some(board);
        Self { board, known: 0 }
    }

    /// Of a step that needs those that have not failed by now.
    pub(in crate::executor) fn those_left(board: watch::Receiver<Board>) -> Self {
        let known = board.borrow().fallen.len();
        let board = Some(board);
        Self { board, known }
    }

    /// Of a step that needs none.
    pub(in crate::executor) const fn none() -> Self {
        Self {
            board: None,
            known: 0,
        }
    }

    /// Waits until a service that is needed has failed; for ever when none does.
    pub(in crate::executor) async fn fallen(&self) -> Fallen {
        let Some(mut board) = self.board.clone() else {
            return pending().await;
        };
        let found = board.wait_for(|board| board.fallen.len() > self.known);
        let fallen = match found.await {
            Ok(board) => board.fallen.get(self.known).cloned(),
            Err(_) => None,
        };
        match fallen {
            Some(fallen) => fallen,
            None => pending().await,
        }
    }
}
