//! What others may ask of a container's supervisor, and its answers.

use std::os::fd::OwnedFd;
use std::time::Duration;

use runtime::message::{self, Connection, Listener};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::OciError;

/// What somebody who has connected gets to say something.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub(super) enum Order {
    /// Start the command. Answered with `Done` or `Failed`.
    Start,
    /// Send a signal to the container. Answered with `Done`, or with `Failed` where there is nobody to get it.
    Signal {
        /// Which.
        number: i32,
    },
    /// End it, whatever it is doing. Answered with the end of the connection.
    End,
    /// Wait for the end. Answered with the end of the connection.
    Wait,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// It was, and this went wrong with it.
    Done {
        /// For people.
        warnings: Vec<String>,
    },
    /// It was not, and why.
    Failed {
        /// For people.
        message: String,
    },
}

impl Answer {
    /// That it was carried out, and nothing went wrong.
    pub(super) const DONE: Self = Self::Done {
        warnings: Vec::new(),
    };
}

impl From<&OciError> for Answer {
    fn from(error: &OciError) -> Self {
        Self::Failed {
            message: error.to_string(),
        }
    }
}

/// Takes orders until nobody wants them any more.
pub(super) async fn serve(listener: Listener, orders: mpsc::UnboundedSender<(Order, Connection)>) {
    loop {
        match listener.accept().await {
            Ok(connection) => {
                let orders = orders.clone();
                tokio::spawn(async move {
                    let order = tokio::time::timeout(PATIENCE, connection.receive::<Order>());
                    // Many connect only to see that somebody is there.
                    if let Ok(Ok(Some((order, _)))) = order.await {
                        let _ = orders.send((order, connection));
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}

/// Answers somebody who may be gone.
pub(super) async fn tell(connection: &Connection, answer: &Answer) {
    if let Err(error) = connection.send(answer, &[]).await {
        tracing::debug!(%error, "nobody waits for the answer");
    }
}

/// Gives an order on a connection, and waits for the answer; `None` when the container has ended instead.
pub(super) fn ask(supervisor: &OwnedFd, order: &Order) -> Result<Option<Answer>, OciError> {
    let operation = "reach the container's supervisor";
    rustix::io::ioctl_fionbio(supervisor, false).map_err(OciError::system(operation))?;
    if message::send(supervisor, order, &[]).is_err() {
        return Ok(None);
    }
    let answer = message::receive::<Answer>(supervisor).map_err(OciError::system(operation))?;
    Ok(answer.map(|(answer, _)| answer))
}
