//! What a job's steps and services do with the network, as far as it is told: each thing once, and not without end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::Event;
use tokio::sync::mpsc;

use super::message::Message;
use crate::backend::{NetworkUse, NetworkUseFn};

/// So many different uses of one job are told.
const MOST: usize = 4_000;

/// What has been told.
#[derive(Debug, Default)]
struct Uses {
    told: HashSet<NetworkUse>,
}

impl Uses {
    /// What to tell of another use.
    fn event(&mut self, job: &str, one: NetworkUse) -> Option<Event> {
        if self.told.len() > MOST || !self.told.insert(one.clone()) {
            return None;
        }
        if self.told.len() > MOST {
            let message = format!(
                "Job `{job}` reached more of the network, or was refused more, than is told: only the first {MOST} times are."
            );
            return Some(Event::Warning { message });
        }
        let NetworkUse {
            step,
            place,
            refusal,
        } = one;
        let (job, host, port, protocol) = (job.to_owned(), place.host, place.port, place.protocol);
        Some(match refusal {
            None => Event::NetworkReached {
                job,
                step,
                host,
                port,
                protocol,
            },
            Some(reason) => Event::NetworkRefused {
                job,
                step,
                host,
                port,
                protocol,
                reason,
            },
        })
    }
}

/// Passes what a job does with the network on to the dispatcher.
pub(super) fn of_job(job: &str, messages: mpsc::UnboundedSender<Message>) -> NetworkUseFn {
    let job = job.to_owned();
    let uses = Mutex::new(Uses::default());
    Arc::new(move |one| {
        let mut uses = uses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = uses.event(&job, one) {
            // Nobody listens any more when the run is over.
            let _ = messages.send(Message::Event(event));
        }
    })
}

#[cfg(test)]
mod tests {
    use protocol::Protocol;

    use super::*;
    use crate::backend::Place;

    fn refused(port: u16) -> NetworkUse {
        NetworkUse {
            step: "test".to_owned(),
            place: Place {
                host: "example.org".to_owned(),
                port,
                protocol: Protocol::Tcp,
            },
            refusal: Some("not in `allow`".to_owned()),
        }
    }

    #[test]
    fn the_same_use_is_told_once() {
        let mut uses = Uses::default();
        assert!(matches!(
            uses.event("main", refused(443)),
            Some(Event::NetworkRefused { port: 443, .. })
        ));
        assert_eq!(uses.event("main", refused(443)), None);
        assert!(uses.event("main", refused(80)).is_some());
        let reached = NetworkUse {
            refusal: None,
            ..refused(443)
        };
        assert!(matches!(
            uses.event("main", reached),
            Some(Event::NetworkReached { port: 443, .. })
        ));
    }

    #[test]
    fn a_step_that_tries_everything_is_told_of_so_often_and_no_more() {
        let mut uses = Uses::default();
        let told: Vec<Event> = (1..=u16::MAX)
            .filter_map(|port| uses.event("main", refused(port)))
            .collect();
        assert_eq!(told.len(), MOST + 1);
        assert!(matches!(told.last(), Some(Event::Warning { .. })));
    }
}
