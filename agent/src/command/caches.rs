//! `agent caches`: what jobs have kept for later ones.

use super::CommandError;
use super::printing::print;
use super::service;
use crate::caches::Store;
use crate::cli::{CacheOperation, Caches};
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::sink::size;

/// Does what is asked for.
///
/// # Errors
/// When the data directory cannot be used.
pub fn execute(arguments: &Caches, machine: &Machine) -> Result<ExitCode, CommandError> {
    match &arguments.operation {
        CacheOperation::List { server, repo, json } => {
            service::caches(server, repo.as_deref(), *json, machine)
        }
        CacheOperation::Remove { server, caches } => {
            service::remove_caches(server, caches, machine)
        }
        CacheOperation::Clear => clear(machine),
    }
}

/// Removes all that this machine has.
fn clear(machine: &Machine) -> Result<ExitCode, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    let usage = Store::of(&machine.data, config.limits.caches()).clear()?;
    let caches = match usage.count {
        1 => "1 cache".to_owned(),
        count => format!("{count} caches"),
    };
    print(&format!("{caches} removed, {}\n", size(usage.bytes)))?;
    Ok(ExitCode::Success)
}
