//! `agent oci`: bundles, for callers of OCI runtimes.

use super::CommandError;
use super::printing::print;
use crate::cli::{Oci, OciCreate, OciKill, Operation};
use crate::door;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::oci::{self, Created, Creation, Log, OciError, Store};
use crate::output::complain;

/// Carries an operation out.
///
/// # Errors
/// When it could not be; `--log` has it as well then.
pub fn execute(arguments: &Oci, machine: &Machine) -> Result<ExitCode, CommandError> {
    let log = Log {
        path: arguments.log.clone(),
        format: arguments.log_format,
    };
    let root = arguments.root.clone();
    let root = root.unwrap_or_else(|| machine.data.join("oci"));
    // The supervisor leaves the directory that it was called in.
    let root = std::path::absolute(&root).map_err(OciError::disk("find", &root))?;
    let store = Store::of(root);
    let done = match &arguments.operation {
        Operation::Create(create) => make(create, &store, &log, machine),
        Operation::Start(one) => id(&one.id).and_then(|id| Ok(oci::start(&store, &id, &log)?)),
        Operation::State(one) => id(&one.id).and_then(|id| {
            let state = oci::state(&store, &id)?;
            let text = serde_json::to_string_pretty(&state);
            let text = text.map_err(|error| CommandError::Write(error.to_string()))?;
            print(&format!("{text}\n"))
        }),
        Operation::Kill(one) => kill(one, &store),
        Operation::Delete(one) => {
            id(&one.id).and_then(|id| Ok(oci::delete(&store, &id, one.force, &log)?))
        }
    };
    match done {
        Ok(()) => Ok(ExitCode::Success),
        Err(error) => {
            log.error(&error.to_string());
            Err(error)
        }
    }
}

fn id(text: &str) -> Result<oci::Id, CommandError> {
    let id: Result<oci::Id, _> = text.parse();
    Ok(id.map_err(OciError::from)?)
}

fn make(
    arguments: &OciCreate,
    store: &Store,
    log: &Log,
    machine: &Machine,
) -> Result<(), CommandError> {
    machine.create_data()?;
    let creation = Creation {
        id: id(&arguments.id)?,
        bundle: arguments.bundle.clone(),
        pid_file: arguments.pid_file.clone(),
        console_socket: arguments.console_socket.clone(),
        store,
        data: &machine.data,
    };
    match oci::create(&creation)? {
        Created::Caller { warnings } => {
            for warning in warnings {
                log.warning(&warning);
                complain(format_args!("warning: {warning}"));
            }
            Ok(())
        }
        Created::Supervisor => Ok(()),
    }
}

fn kill(arguments: &OciKill, store: &Store) -> Result<(), CommandError> {
    let number = door::signal_number(&arguments.signal)?;
    if arguments.all && number != rustix::process::Signal::KILL.as_raw() {
        return Err(OciError::Option {
            option: "--all",
            problem: "only KILL goes to every process",
        }
        .into());
    }
    Ok(oci::kill(store, &id(&arguments.id)?, number)?)
}
