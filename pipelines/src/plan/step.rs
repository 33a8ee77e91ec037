use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Action, BindError, Command, Condition, Network, Resources, Retry, bind};
use crate::expression::{Template, Values};

/// One step: one command in one fresh container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in the job: the step's `name`, or the first line of its script, numbered where that repeats.
    pub name: String,
    /// Where it is written.
    #[serde(default, skip_serializing_if = "Place::is_unknown")]
    pub place: Place,
    /// Names of the steps of this job that must have ended well before this one starts. A plain list of steps needs
    /// its predecessor each.
    pub needs: Vec<String>,
    /// Its `if`.
    #[serde(default, rename = "if", skip_serializing_if = "Condition::is_success")]
    pub condition: Condition,
    /// What its container is made of and executes.
    #[serde(flatten)]
    pub command: Command<Template>,
    /// Names of the secrets in its environment, the job's and its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// How long each attempt may take; `None` leaves it to the job's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How long it may go without output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_timeout: Option<Duration>,
    /// Which ends are worth another attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// A failure of this step is shown as "failed (allowed)" and does not fail the job.
    pub allow_failure: bool,
    /// What it may use.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
    /// Which network it sees.
    #[serde(default, skip_serializing_if = "Network::is_default")]
    pub network: Network,
    /// It may run containers inside its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nesting: bool,
    /// The step whose filesystem it starts from, instead of the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Its filesystem is kept as a layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub snapshot: bool,
    /// Patterns of files that, beside image, command and env, decide whether it has to run again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Template>,
}

/// Where something is written, for messages at run time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file as it was named.
    pub file: String,
    /// Its line, from 1; 0 is unknown.
    pub line: usize,
}

impl Place {
    /// A message with its place before it, where that is known: `FILE:LINE: MESSAGE`.
    #[must_use]
    pub fn located(&self, message: impl std::fmt::Display) -> String {
        match self.line {
            0 => message.to_string(),
            line => format!("{}:{line}: {message}", self.file),
        }
    }

    /// For serde: nothing has to be said.
    pub(super) fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

impl Step {
    /// A step that has to run, in this image, without settings.
    #[must_use]
    pub fn new(name: &str, image: impl Into<Template>, action: Action<Template>) -> Self {
        Self {
            name: name.to_owned(),
            place: Place::default(),
            needs: Vec::new(),
            condition: Condition::Success,
            command: Command {
                image: image.into(),
                action,
                env: indexmap::IndexMap::new(),
                workdir: None,
                user: None,
            },
            secrets: Vec::new(),
            timeout: None,
            silence_timeout: None,
            retry: None,
            allow_failure: false,
            resources: Resources::default(),
            network: Network::Default,
            nesting: false,
            from: None,
            snapshot: false,
            inputs: Vec::new(),
        }
    }

    /// The command with every expression replaced by its value.
    ///
    /// # Errors
    /// The first expression that has none, by the key it stands in.
    pub fn bind(&self, values: &dyn Values) -> Result<Command<String>, BindError> {
        bind::command(&self.command, values)
    }

    /// Its network, with the values of a run.
    ///
    /// # Errors
    /// The first expression that has none, by the key it stands in.
    pub fn bind_network(&self, values: &dyn Values) -> Result<Network<String>, BindError> {
        bind::network(&self.network, values)
    }
}
