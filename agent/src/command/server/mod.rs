//! `agent server`: settings from flags, environment and file, then the server until it is asked to end.

mod config;
mod settings;

use std::time::Duration;

use server::{Config, ServerError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

pub(super) use self::settings::SettingsError;
use super::error::{CommandError, starting};
use crate::cli::{LogFormat, Server};
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::output::complain;
use crate::tracing_output;

/// How often what the heap has free is given back.
const GIVE_BACK: Duration = Duration::from_secs(5);

/// Runs a server until `SIGTERM`, `SIGINT` or `SIGHUP`: it then ends what is going on; a second one ends it at once.
///
/// # Errors
/// A setting makes no sense, or the server cannot start or go on.
pub fn execute(arguments: &Server, machine: &Machine) -> Result<ExitCode, CommandError> {
    let data = arguments
        .data
        .clone()
        .unwrap_or_else(|| machine.data.join("server"));
    let settings = settings::read(arguments.config.as_deref(), &data)?;
    let format = arguments.log_format.or(settings.log_format);
    tracing_output::start_server(format == Some(LogFormat::Json))?;
    let config = config::config(arguments, settings, data)?;
    // What only the beginning needed; that it stays is no failure.
    let _ = runtime::idle::give_back();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(starting("start the server's threads"))?;
    runtime.block_on(run(config))?;
    Ok(ExitCode::Success)
}

async fn run(config: Config) -> Result<(), CommandError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(starting("hear signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(starting("hear signals"))?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(starting("hear signals"))?;
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let running = server::start(config).await?;
    tokio::spawn(give_back());
    complain(format_args!("listening on {scheme}://{}", running.address));
    if let Some(path) = &running.first_token {
        complain(format_args!(
            "the first administrator's token is in {}",
            path.display()
        ));
    }
    let shutdown = running.shutdown.clone();
    let ended = running.ended();
    tokio::pin!(ended);
    let mut asked = false;
    loop {
        tokio::select! {
            ended = &mut ended => return Ok(ended?),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
        match std::mem::replace(&mut asked, true) {
            false => shutdown.begin(),
            true => shutdown.now(),
        }
    }
}

/// What a busy time took does not stay: its threads would each keep the most that they ever needed.
async fn give_back() {
    let mut turns = tokio::time::interval(GIVE_BACK);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        // It waits for whoever allocates, and they for it.
        let giving = tokio::task::spawn_blocking(runtime::idle::give_back_free);
        let _ = giving.await;
    }
}

/// The exit code for a server that did not start, or ended by itself.
pub(super) const fn exit_code(error: &ServerError) -> ExitCode {
    match error {
        ServerError::Config(_)
        | ServerError::Certificate { .. }
        | ServerError::Key(_)
        | ServerError::Private(_)
        | ServerError::OtherStorage { .. }
        | ServerError::TakenStorage { .. } => ExitCode::Usage,
        ServerError::Database(_) | ServerError::Secrets(_) | ServerError::Storage { .. } => {
            ExitCode::Unavailable
        }
        ServerError::File { .. }
        | ServerError::FirstToken(_)
        | ServerError::Listen { .. }
        | ServerError::Serve { .. } => ExitCode::Internal,
    }
}
