//! The commands that ask a server something.

mod agents;
mod artifacts;
mod caches;
mod follow;
mod jobs;
mod log;
mod nothing;
mod read;
mod secrets;
mod show;
mod submit;
mod tokens;
mod waits;

pub use agents::{agents, drain};
pub use artifacts::artifacts;
pub use caches::{caches, remove_caches};
pub use jobs::{approve, cancel, jobs, retry};
pub use log::logs;
pub use secrets::secrets;
pub use submit::submit;
pub use tokens::tokens;

use std::future::Future;
use std::time::Duration;

use serde::Serialize;

use super::CommandError;
use super::connection::Connection;
use super::error::starting;
use super::printing::print;
use crate::cli::ServerOptions;
use crate::config::Config;
use crate::machine::Machine;
use crate::output::complain;
use crate::sink::sanitise;
use crate::source::{CallError, Client, Patience};

/// A client for what the command line, the environment and the configuration say.
fn client(options: &ServerOptions, machine: &Machine) -> Result<Client, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    Ok(Connection::of(options, &config.client)?.client()?)
}

/// Whether anybody has said where a server is.
pub(super) fn is_named(options: &ServerOptions, machine: &Machine) -> Result<bool, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    Ok(options.server.is_some() || config.client.server.is_some())
}

/// The same for who follows something: a server that is full or away is waited for, so long at most, and told of once.
fn patient(client: Client, patience: Duration) -> Client {
    client.with_patience(Patience::new(patience, |text| complain(sanitise(text))))
}

/// Waits for calls.
fn wait<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(starting("start the async runtime"))?;
    let result = runtime.block_on(work);
    // A thread that still reads is nobody's any more.
    runtime.shutdown_background();
    result
}

impl From<CallError> for CommandError {
    fn from(error: CallError) -> Self {
        Self::Connection(error.into())
    }
}

/// Prints what a server has answered.
fn print_json(value: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(value);
    print(&(text.map_err(|error| CommandError::Write(error.to_string()))? + "\n"))
}
