//! `agent logs`, `kill`, `stop`, `wait` and `rm`: what can be done about a container from another shell.

use super::printing::print;
use super::{CommandError, service};
use crate::cli::{Kill, Logs, Remove, Stop, Wait};
use crate::config::Config;
use crate::door::{self, Containers, DoorError, Found, LogOptions};
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::output::complain;

/// Prints a container's log.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn logs(arguments: &Logs, machine: &Machine) -> Result<ExitCode, CommandError> {
    let found = match Containers::of(&machine.data).find(&arguments.container) {
        Ok(found) => found,
        // A number is a job, where there is a server.
        Err(error) => match arguments.container.parse() {
            Ok(job) if service::is_named(&arguments.server, machine)? => {
                return service::logs(job, arguments, machine);
            }
            _ => return Err(error.into()),
        },
    };
    let options = LogOptions {
        follow: arguments.follow,
        tail: arguments.tail,
        timestamps: arguments.timestamps,
    };
    match door::show(&found, options) {
        Err(DoorError::SeenEnough) => Ok(ExitCode::Success),
        result => Ok(result.map(|()| ExitCode::Success)?),
    }
}

/// Sends a signal to each.
///
/// # Errors
/// When it is no signal.
pub fn kill(arguments: &Kill, machine: &Machine) -> Result<ExitCode, CommandError> {
    let number = door::signal_number(&arguments.signal)?;
    each(&arguments.containers, machine, |_, found| {
        door::signal(found, number)?;
        Ok(found.record.name.to_string())
    })
}

/// Stops each.
///
/// # Errors
/// When the machine's configuration cannot be used.
pub fn stop(arguments: &Stop, machine: &Machine) -> Result<ExitCode, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    let grace = arguments.time.unwrap_or(config.grace);
    each(&arguments.containers, machine, |containers, found| {
        door::stop(containers, found, grace)?;
        Ok(found.record.name.to_string())
    })
}

/// Waits for each, and prints how it ended.
///
/// # Errors
/// When standard output cannot be written to.
pub fn wait(arguments: &Wait, machine: &Machine) -> Result<ExitCode, CommandError> {
    each(&arguments.containers, machine, |containers, found| {
        let code = door::wait(containers, found, None)?;
        Ok(code.map_or_else(String::new, |code| code.to_string()))
    })
}

/// Removes each.
///
/// # Errors
/// When standard output cannot be written to.
pub fn remove(arguments: &Remove, machine: &Machine) -> Result<ExitCode, CommandError> {
    each(&arguments.containers, machine, |containers, found| {
        door::remove(containers, found, arguments.force)?;
        Ok(found.record.name.to_string())
    })
}

/// Does something with each container, whatever becomes of the others, and prints what comes of it. The exit code is that of
/// the first failure.
fn each(
    names: &[String],
    machine: &Machine,
    act: impl Fn(&Containers, &Found) -> Result<String, DoorError>,
) -> Result<ExitCode, CommandError> {
    let containers = Containers::of(&machine.data);
    let mut code = ExitCode::Success;
    for name in names {
        match containers
            .find(name)
            .and_then(|found| act(&containers, &found))
        {
            Ok(text) => print(&format!("{text}\n"))?,
            Err(error) => {
                complain(format_args!("error: {error}"));
                for hint in error.hints() {
                    complain(format_args!("help: {hint}"));
                }
                if code == ExitCode::Success {
                    code = error.exit_code();
                }
            }
        }
    }
    Ok(code)
}
