//! What a job's steps were refused of the network, as far as it is told: each thing once, and not without end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::Event;
use tokio::sync::mpsc;

use super::message::Message;
use crate::backend::{Refusal, RefusalFn};

/// So many different refusals of one job are told.
const MOST: usize = 1_000;

/// What has been told.
#[derive(Debug, Default)]
struct Refusals {
    told: HashSet<Refusal>,
}

impl Refusals {
    /// What to tell of another refusal.
    fn event(&mut self, job: &str, refusal: Refusal) -> Option<Event> {
        if self.told.len() > MOST || !self.told.insert(refusal.clone()) {
            return None;
        }
        if self.told.len() > MOST {
            let message = format!(
                "Job `{job}` was refused more of the network than is told: only the first {MOST} refusals are."
            );
            return Some(Event::Warning { message });
        }
        let Refusal {
            step,
            host,
            port,
            protocol,
            reason,
        } = refusal;
        Some(Event::NetworkRefused {
            job: job.to_owned(),
            step,
            host,
            port,
            protocol,
            reason,
        })
    }
}

/// Passes refusals of a job on to the dispatcher.
pub(super) fn of_job(job: &str, messages: mpsc::UnboundedSender<Message>) -> RefusalFn {
    let job = job.to_owned();
    let refusals = Mutex::new(Refusals::default());
    Arc::new(move |refusal| {
        let mut refusals = refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = refusals.event(&job, refusal) {
            // Nobody listens any more when the run is over.
            let _ = messages.send(Message::Event(event));
        }
    })
}

#[cfg(test)]
mod tests {
    use protocol::Protocol;

    use super::*;

    fn refusal(port: u16) -> Refusal {
        Refusal {
            step: "test".to_owned(),
            host: "example.org".to_owned(),
            port,
            protocol: Protocol::Tcp,
            reason: "it is not in `allow`".to_owned(),
        }
    }

    #[test]
    fn the_same_refusal_is_told_once() {
        let mut refusals = Refusals::default();
        assert!(matches!(
            refusals.event("main", refusal(443)),
            Some(Event::NetworkRefused { port: 443, .. })
        ));
        assert_eq!(refusals.event("main", refusal(443)), None);
        assert!(refusals.event("main", refusal(80)).is_some());
    }

    #[test]
    fn a_step_that_tries_everything_is_told_of_so_often_and_no_more() {
        let mut refusals = Refusals::default();
        let told: Vec<Event> = (1..=u16::MAX)
            .filter_map(|port| refusals.event("main", refusal(port)))
            .collect();
        assert_eq!(told.len(), MOST + 1);
        assert!(matches!(told.last(), Some(Event::Warning { .. })));
    }
}
