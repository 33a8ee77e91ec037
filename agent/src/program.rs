//! The program behind every binary of this crate: a doorway from `main` to the command that was typed.

use crate::backend::Containers;
use crate::cli::{Cli, Command};
use crate::command::{
    CommandError, build, caches, containers, df, doctor, exec, explain, git_transport, image, job,
    lint, login, oci, plan, ps, pull, run, run_local, schema, server, service, start, stats,
};
use crate::door::Ending;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::output::complain;
use crate::tracing_output;
use clap::{CommandFactory as _, Parser as _};
use std::ffi::OsStr;
use std::process::Termination as _;

/// Runs the process's command line, and says how the process is to end.
pub fn main() -> std::process::ExitCode {
    // The zygote is this program again; see `runtime::zygote`.
    if let Some(status) = runtime::zygote::run_if_zygote() {
        return status;
    }
    run().report()
}

fn run() -> ExitCode {
    // Does nothing unless a shell asks (`COMPLETE=bash agent`), and then ends the process.
    clap_complete::CompleteEnv::with_factory(Cli::command).complete();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = match error.use_stderr() {
                true => usage(std::env::args_os().nth(1).as_deref()),
                false => ExitCode::Success,
            };
            // There is nobody to tell when that fails.
            let _ = error.print();
            return code;
        }
    };
    if !matches!(cli.command, Command::Server(_))
        && let Some(filter) = std::env::var_os("SLIPWAY_LOG")
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
        match error.exit_code() {
            code @ ExitCode::Command(_) => code,
            _ if cli.command.ends_as_a_container() => Ending::Failed.into(),
            code => code,
        }
    })
}

/// The exit code for a command line that makes no sense. What `run` and `exec` exit with otherwise is their command's.
fn usage(command: Option<&OsStr>) -> ExitCode {
    match command.and_then(OsStr::to_str) {
        Some("run" | "exec") => Ending::Failed.into(),
        _ => ExitCode::Usage,
    }
}

fn execute(command: &Command) -> Result<ExitCode, CommandError> {
    // It has next to no environment, and no use for a data directory.
    if let Command::GitTransport(_) = command {
        return git_transport::execute();
    }
    let machine = Machine::new(|name| std::env::var_os(name))?;
    match command {
        Command::RunLocal(arguments) => {
            run_local::execute(arguments, &machine, Containers::connect)
        }
        Command::Lint(arguments) => lint::execute(arguments, &machine),
        Command::Explain(arguments) => explain::execute(arguments, &machine),
        Command::Plan(arguments) => plan::execute(arguments, &machine),
        Command::Schema(_) => schema::execute(),
        Command::Run(arguments) => run::execute(arguments, &machine),
        Command::Build(arguments) => build::execute(arguments, &machine),
        Command::Pull(arguments) => pull::execute(arguments, &machine),
        Command::Images(arguments) => image::list(arguments, &machine),
        Command::Image(command) => image::execute(command, &machine),
        Command::Rmi(arguments) => image::remove(arguments, &machine),
        Command::Tag(arguments) => image::tag(arguments, &machine),
        Command::Save(arguments) => image::save(arguments, &machine),
        Command::Load(arguments) => image::load(arguments, &machine),
        Command::Login(arguments) => login::log_in(arguments, &machine),
        Command::Logout(arguments) => login::log_out(arguments, &machine),
        Command::Df(arguments) => df::execute(arguments, &machine),
        Command::Exec(arguments) => exec::execute(arguments, &machine),
        Command::Ps(arguments) => ps::execute(arguments, &machine),
        Command::Stats(arguments) => stats::execute(arguments, &machine),
        Command::Logs(arguments) => containers::logs(arguments, &machine),
        Command::Kill(arguments) => containers::kill(arguments, &machine),
        Command::Stop(arguments) => containers::stop(arguments, &machine),
        Command::Wait(arguments) => containers::wait(arguments, &machine),
        Command::Remove(arguments) => containers::remove(arguments, &machine),
        Command::Oci(arguments) => oci::execute(arguments, &machine),
        Command::Submit(arguments) => service::submit(arguments, &machine),
        Command::Jobs(arguments) => service::jobs(arguments, &machine),
        Command::Artifacts(arguments) => service::artifacts(arguments, &machine),
        Command::Caches(arguments) => caches::execute(arguments, &machine),
        Command::Cancel(arguments) => service::cancel(arguments, &machine),
        Command::Retry(arguments) => service::retry(arguments, &machine),
        Command::Approve(arguments) => service::approve(arguments, &machine),
        Command::Agents(arguments) => service::agents(arguments, &machine),
        Command::Drain(arguments) => service::drain(arguments, &machine),
        Command::Secrets(arguments) => service::secrets(arguments, &machine),
        Command::Tokens(arguments) => service::tokens(arguments, &machine),
        Command::Start(arguments) => start::execute(arguments, &machine),
        Command::Job(arguments) if arguments.sweep => job::sweep(&machine),
        Command::Job(_) => job::execute(&machine, Containers::connect),
        Command::GitTransport(_) => git_transport::execute(),
        Command::Server(arguments) => server::execute(arguments, &machine),
        Command::Doctor(_) => doctor::execute(&machine),
    }
}
