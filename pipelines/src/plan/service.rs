use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BindError, Build, Command, Network, bind, command::none};
use crate::expression::{Template, Values};

/// A container that runs beside a job's steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service<T = Template> {
    /// Its name on the job's network.
    pub name: String,
    /// What it executes.
    #[serde(flatten)]
    pub command: Command<T>,
    /// Where its image comes from, when it is not pulled; `image` is the directory then.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub build: Option<Build<T>>,
    /// When steps may start; `None` leaves it to the image's health check.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready<T>>,
    /// Names of the secrets in its environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// What it may reach: its job's `network`. It is on the job's private one in any case.
    #[serde(default = "by_default", skip_serializing_if = "Network::is_default")]
    pub network: Network<T>,
}

/// For serde, which would want a default of the texts as well.
const fn by_default<T>() -> Network<T> {
    Network::Default
}

/// `ready`: how to see that a service can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready<T = Template> {
    /// What to try.
    #[serde(flatten)]
    pub probe: Probe<T>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What shows that a service is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe<T = Template> {
    /// A connection to this port is accepted.
    Tcp(u16),
    /// A GET of this URL of the service, or path at port 80, answers with a status below 400.
    Http(T),
    /// This script exits with 0 in the service's container.
    Run(T),
    /// A line of the service's log matches this regular expression.
    Log(String),
}

impl<T> Service<T> {
    /// The same with other texts.
    pub(crate) fn map<U>(&self, text: &mut impl FnMut(&T) -> U) -> Service<U> {
        Service {
            name: self.name.clone(),
            command: self.command.map(text),
            build: self.build.as_ref().map(|build| build.map(text)),
            ready: self.ready.as_ref().map(|ready| Ready {
                probe: match &ready.probe {
                    Probe::Tcp(port) => Probe::Tcp(*port),
                    Probe::Http(url) => Probe::Http(text(url)),
                    Probe::Run(script) => Probe::Run(text(script)),
                    Probe::Log(pattern) => Probe::Log(pattern.clone()),
                },
                timeout: ready.timeout,
            }),
            secrets: self.secrets.clone(),
            network: self.network.map(text),
        }
    }
}

impl Service {
    /// The same with every expression replaced by its value.
    ///
    /// # Errors
    /// The first expression that has none, by the key it stands in.
    pub fn bind(&self, values: &dyn Values) -> Result<Service<String>, BindError> {
        bind::service(self, values)
    }
}
