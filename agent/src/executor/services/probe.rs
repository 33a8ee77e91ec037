//! One try to see whether a service is ready, and tries until it is.

use std::time::Duration;

use protocol::Cause;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::health::Health;
use super::http::Target;
use crate::backend::{Backend, ExitStatus};
use crate::clock::milliseconds;
use crate::executor::context::until;
use crate::sink::duration;

/// How long a try over the network may take.
const NETWORK: Duration = Duration::from_secs(5);

/// How long a `run` may take.
pub(super) const SCRIPT: Duration = Duration::from_secs(30);

/// What shows that a service is ready.
#[derive(Debug)]
pub(super) enum Trial {
    /// That it runs.
    Running,
    /// A connection to this port.
    Tcp(u16),
    /// An answer to this question.
    Http(Target),
    /// The end of this command in its container, in this time.
    Command {
        argv: Vec<String>,
        longest: Duration,
    },
    /// A line of its log, of which this tells.
    Log(oneshot::Receiver<()>),
}

/// A service to be tried.
#[derive(Debug)]
pub(super) struct Subject<'a, B: Backend> {
    pub(super) backend: &'a B,
    pub(super) workspace: &'a B::Workspace,
    pub(super) name: &'a str,
}

impl<B: Backend> Subject<'_, B> {
    /// Waits until the service is ready.
    ///
    /// # Errors
    /// [`Cause::NotReady`] when it is not after `limit`.
    pub(super) async fn until_ready(&self, trial: Trial, limit: Duration) -> Result<(), Cause> {
        let health = Health::new(limit, Instant::now());
        let longest = match &trial {
            Trial::Running => return Ok(()),
            Trial::Log(_) => return until_told(trial, health).await,
            Trial::Tcp(_) | Trial::Http(_) => NETWORK,
            Trial::Command { longest, .. } => *longest,
        };
        self.until_holds(&trial, health, longest).await
    }

    async fn until_holds(
        &self,
        trial: &Trial,
        mut health: Health,
        longest: Duration,
    ) -> Result<(), Cause> {
        while let Some(left) = health.time_left(Instant::now()) {
            let longest = longest.min(left);
            let why = match timeout(longest, self.attempt(trial)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(why)) => why,
                Err(_) => format!("no answer within {}", duration(milliseconds(longest))),
            };
            sleep_until(health.failed(why, Instant::now())).await;
        }
        Err(health.into_cause())
    }

    /// Tries once.
    ///
    /// # Errors
    /// Why it is not ready, for a person.
    async fn attempt(&self, trial: &Trial) -> Result<(), String> {
        match trial {
            Trial::Running | Trial::Log(_) => Ok(()),
            Trial::Tcp(port) => self.connect(*port).await.map(drop),
            Trial::Http(target) => {
                let connection = self.connect(target.port).await?;
                let asked = target.ask(connection).await;
                asked.map_err(|why| format!("port {}: {why}", target.port))
            }
            Trial::Command { argv, .. } => {
                let ran = self
                    .backend
                    .exec_in_service(self.workspace, self.name, argv);
                match ran.await {
                    Ok(ExitStatus::Code(0)) => Ok(()),
                    Ok(status) => Err(format!("the check ended with {status}")),
                    Err(error) => Err(error.to_string()),
                }
            }
        }
    }

    async fn connect(&self, port: u16) -> Result<B::Connection, String> {
        let connected = self
            .backend
            .connect_service(self.workspace, self.name, port);
        connected
            .await
            .map_err(|error| format!("port {port}: {error}"))
    }
}

/// Waits for the line of a log. A log that ends without it, while the service goes on, has no other.
async fn until_told(trial: Trial, health: Health) -> Result<(), Cause> {
    let told = async {
        let is_told = match trial {
            Trial::Log(answer) => answer.await.is_ok(),
            _ => false,
        };
        if !is_told {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = told => Ok(()),
        () = until(health.end()) => Err(health.into_cause()),
    }
}
