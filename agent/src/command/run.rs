//! `agent run`: one command in a container of its own.

use std::env;
use std::path::PathBuf;

use super::CommandError;
use super::printing::print;
use crate::cli::Run;
use crate::config::Config;
use crate::door::{self, DoorError, Parted, Report, Setting};
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::output::complain;

/// Runs a container to its end.
///
/// # Errors
/// When its command could not be run.
pub fn execute(arguments: &Run, machine: &Machine) -> Result<ExitCode, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    let base = current_directory()?;
    let request = door::Request::new(arguments, &base, |name| env::var(name).ok())?;
    machine.create_data()?;
    let setting = Setting {
        data: &machine.data,
        base: &base,
        config: &config,
    };
    if !arguments.detach {
        return Ok(door::supervise(&request, setting)?.into());
    }
    match door::run_detached(&request, setting)? {
        Parted::Successor(code) => Ok(code),
        Parted::Caller(Report::Runs(name)) => {
            print(&format!("{name}\n"))?;
            Ok(ExitCode::Success)
        }
        Parted::Caller(Report::Failed {
            message,
            hints,
            exit_code,
        }) => {
            complain(format_args!("error: {message}"));
            for hint in hints {
                complain(format_args!("help: {hint}"));
            }
            Ok(ExitCode::Command(exit_code))
        }
    }
}

fn current_directory() -> Result<PathBuf, DoorError> {
    env::current_dir().map_err(DoorError::system("find the current directory"))
}
