//! `agent start`: from what was said about an agent to the daemon.

use indexmap::IndexMap;
use protocol::service::{AgentDescription, limits};

use super::CommandError;
use super::connection::Connection;
use super::error::starting;
use crate::caches::Store;
use crate::cli::Start;
use crate::config::{self, Config};
use crate::daemon::{self, Ending, Settings};
use crate::exit_code::ExitCode;
use crate::machine::Machine;

/// A label is none.
#[derive(Debug, thiserror::Error)]
#[error("{label:?} is no label: {why}")]
pub struct LabelError {
    /// As it was given.
    label: String,
    /// What is wrong with it.
    why: &'static str,
}

/// Works until it is told to stop.
pub fn execute(arguments: &Start, machine: &Machine) -> Result<ExitCode, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    let configured = config::Connection {
        server: config.agent.server.clone(),
        token_file: config.agent.token_file.clone(),
        ca_file: config.agent.ca_file.clone(),
    };
    let connection = Connection::of(&arguments.server, &configured)?;
    let labels = match arguments.labels.is_empty() {
        true => config.agent.labels,
        false => parse(&arguments.labels),
    };
    for (name, value) in &labels {
        check(name, value)?;
    }
    let description = AgentDescription {
        name: name(arguments.name.clone().or(config.agent.name)),
        labels,
        slots: arguments
            .slots
            .or(config.agent.slots)
            .unwrap_or(1)
            .clamp(1, limits::SLOTS),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ephemeral: arguments.ephemeral,
    };
    machine.create_data()?;
    let settings = Settings {
        data: machine.data.clone(),
        description,
        token: connection.token.clone(),
        free_disk: config.agent.free_disk,
        caches: Store::open(&machine.data, config.limits.caches())?,
    };
    let client = connection.client()?;
    // One thread: an agent that waits is to be small, and what it does is to wait.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(std::time::Duration::from_secs(1))
        .build()
        .map_err(starting("start the async runtime"))?;
    let ending = runtime.block_on(daemon::run(settings, client))?;
    runtime.shutdown_background();
    Ok(match ending {
        Ending::Drained => ExitCode::Success,
        Ending::Aborted => ExitCode::Cancelled,
    })
}

/// `name=value`; a name alone is `name=true`.
fn parse(labels: &[String]) -> IndexMap<String, String> {
    let labels = labels.iter().map(|label| label.trim());
    let labels = labels.filter(|label| !label.is_empty());
    labels
        .map(|label| {
            let (name, value) = label.split_once('=').unwrap_or((label, "true"));
            (name.trim().to_owned(), value.trim().to_owned())
        })
        .collect()
}

fn check(name: &str, value: &str) -> Result<(), LabelError> {
    let why = if name.is_empty() {
        "it has no name"
    } else if name.len() > limits::LABEL || value.len() > limits::LABEL {
        "its name or its value has more than 256 bytes"
    } else if name.chars().chain(value.chars()).any(char::is_control) {
        "it has control characters"
    } else {
        return Ok(());
    };
    Err(LabelError {
        label: format!("{name}={value}"),
        why,
    })
}

/// What the agent is called: what was said, or the machine's name.
fn name(said: Option<String>) -> String {
    let name = said.filter(|name| !name.is_empty()).unwrap_or_else(|| {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    });
    name.chars()
        .filter(|character| !character.is_control())
        .take(100)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{check, parse};

    #[test]
    fn labels_are_names_and_values() {
        let given = ["os=linux", "gpu", " a = b ", ""].map(str::to_owned);
        let labels = parse(&given);
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(labels, ["os=linux", "gpu=true", "a=b"]);
        assert!(check("", "x").is_err() && check("a\n", "x").is_err() && check("a", "x").is_ok());
    }
}
