//! `agent exec`: a further command in a running container.

use std::env;

use super::CommandError;
use crate::cli::Exec;
use crate::door::{self, Containers, ExecRequest};
use crate::exit_code::ExitCode;
use crate::machine::Machine;

/// Runs it to its end.
///
/// # Errors
/// When it could not be run.
pub fn execute(arguments: &Exec, machine: &Machine) -> Result<ExitCode, CommandError> {
    let request = ExecRequest::new(arguments, |name| env::var(name).ok())?;
    let containers = Containers::of(&machine.data);
    let found = containers.find(arguments.container())?;
    Ok(door::exec(&containers, &found, &request)?.into())
}
