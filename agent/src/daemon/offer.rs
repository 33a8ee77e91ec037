//! A job that the server offers, which may be none that this agent can read: its server is newer, or something between the two has
//! changed it. Then whose it is can be read most of the time, and it is given back with the reason.

use protocol::service::{Assignment, AttemptId, Release, ReleaseReason, path};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::tell;
use crate::source::Client;

/// An answer to a call for a job.
#[derive(Debug)]
pub(super) enum Offer {
    Job(Box<Assignment>),
    /// Why it cannot be read.
    Unreadable(AttemptId, String),
}

impl<'de> Deserialize<'de> for Offer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let mut reader = serde_json::Deserializer::from_str(text.get());
        match serde_path_to_error::deserialize(&mut reader) {
            Ok(assignment) => Ok(Self::Job(Box::new(assignment))),
            Err(error) => match serde_json::from_str(text.get()) {
                Ok(id) => Ok(Self::Unreadable(id, error.to_string())),
                Err(_) => Err(D::Error::custom(error)),
            },
        }
    }
}

/// Gives back what cannot be read. Said once: the server takes it back by itself, only later and without knowing why.
pub(super) async fn give_back(client: Client, id: AttemptId, message: String) {
    tell(format_args!(
        "error: job {id} cannot be read, and is given back: {message}; is this agent older than its server?"
    ));
    let release = Release {
        reason: ReleaseReason::Unreadable { message },
    };
    let address = path::of_attempt(path::RELEASE, id);
    if let Err(error) = client.tell(&address, Some(&release)).await {
        tracing::debug!(%error, "the server does not take it back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_job_is_can_be_read_where_the_rest_cannot() {
        let text = r#"{ "job": 7, "attempt": 2, "pipeline": 1, "terms": "of tomorrow" }"#;
        let Offer::Unreadable(id, message) = serde_json::from_str(text).unwrap() else {
            panic!("it was read");
        };
        assert_eq!(id.to_string(), "7-2");
        assert!(message.starts_with("terms: invalid type"), "{message}");
        let foreign = serde_json::from_str::<Offer>(r#"{ "page": "of a proxy" }"#);
        assert!(foreign.is_err(), "{foreign:?}");
    }
}
