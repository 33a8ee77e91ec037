//! The `agent` binary: a doorway.

use agent::backend::Containers;
use agent::cli::{Cli, Command};
use agent::command::{CommandError, doctor, lint, run_local};
use agent::exit_code::ExitCode;
use agent::machine::Machine;
use agent::output::complain;
use agent::tracing_output;
use clap::Parser as _;
use std::process::Termination as _;

fn main() -> std::process::ExitCode {
    // The zygote is this program again; see `runtime::zygote`.
    if let Some(status) = runtime::zygote::run_if_zygote() {
        return status;
    }
    run().report()
}

fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = match error.use_stderr() {
                true => ExitCode::Usage,
                false => ExitCode::Success,
            };
            // There is nobody to tell when that fails.
            let _ = error.print();
            return code;
        }
    };
    if let Some(filter) = std::env::var_os("SLIPWAY_LOG")
        && let Err(error) = tracing_output::start(&filter.to_string_lossy())
    {
        complain(format_args!("error: {error}"));
        return ExitCode::Usage;
    }
    execute(&cli.command).unwrap_or_else(|error| {
        complain(format_args!("error: {error}"));
        for help in error.hints() {
            complain(format_args!("help: {help}"));
        }
        error.exit_code()
    })
}

fn execute(command: &Command) -> Result<ExitCode, CommandError> {
    let machine = Machine::new(|name| std::env::var_os(name))?;
    match command {
        Command::RunLocal(arguments) => {
            run_local::execute(arguments, &machine, Containers::connect)
        }
        Command::Lint(arguments) => lint::execute(arguments, &machine),
        Command::Doctor(_) => doctor::execute(&machine),
    }
}
