//! `agent login` and `agent logout`. A password is on no command line, and in no message.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use runtime::registry::{Client, KeptIn, forget_log_in, keep_log_in};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde::Serialize;

use tokio::signal::unix::{SignalKind, signal};

use super::CommandError;
use super::error::starting;
use super::image::to_json;
use super::printing::print;
use crate::cli::{ListFormat, Login, Logout};
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::output::complain;

/// Of a password, bytes.
const LONGEST: u64 = 64 * 1024;

/// A log-in that is kept, for programs: in a file, or by the credential helper of this name.
#[derive(Debug, Serialize)]
struct LoggedIn<'a> {
    registry: &'a str,
    kept_in: String,
}

/// A log-in that is not kept any more, for programs.
#[derive(Debug, Serialize)]
struct LoggedOut<'a> {
    registry: &'a str,
    /// There was one.
    removed: bool,
}

/// Checks a log-in with its registry, and keeps it.
///
/// # Errors
/// When the registry refuses it, or it cannot be kept.
pub fn log_in(arguments: &Login, machine: &Machine) -> Result<ExitCode, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    let registry = registry(&arguments.registry)?;
    let runtime = runtime()?;
    let settings = &config.registries;
    let kept = runtime.block_on(until_stopped(async {
        let (user, secret) = credentials(arguments).await?;
        let client = Client::new(settings)?;
        client.verify_log_in(&registry, &user, &secret).await?;
        Ok(keep_log_in(settings, &registry, &user, &secret).await?)
    }));
    // Somebody may still be asked.
    runtime.shutdown_background();
    let Some(kept) = kept? else {
        return Ok(ExitCode::Cancelled);
    };
    match &kept {
        KeptIn::File(path) => complain(format_args!(
            "warning: the password is readable in {}; a credential helper keeps it better (`credsStore`)",
            path.display()
        )),
        KeptIn::Helper(_) => {}
    }
    print(&match arguments.format {
        ListFormat::Table => "login succeeded\n".to_owned(),
        ListFormat::Json => to_json(&LoggedIn {
            registry: &registry,
            kept_in: match &kept {
                KeptIn::File(path) => path.display().to_string(),
                KeptIn::Helper(helper) => helper.clone(),
            },
        })?,
    })?;
    Ok(ExitCode::Success)
}

/// Forgets a log-in.
///
/// # Errors
/// When where it is kept cannot be written.
pub fn log_out(arguments: &Logout, machine: &Machine) -> Result<ExitCode, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    let registry = registry(&arguments.registry)?;
    let had = runtime()?.block_on(forget_log_in(&config.registries, &registry))?;
    print(&match (arguments.format, had) {
        (ListFormat::Json, removed) => to_json(&LoggedOut {
            registry: &registry,
            removed,
        })?,
        (ListFormat::Table, true) => format!("log-in for {registry} removed\n"),
        (ListFormat::Table, false) => format!("there was no log-in for {registry}\n"),
    })?;
    Ok(ExitCode::Success)
}

/// Ends what is done on a signal, so that the terminal is left as it was; `None` then.
async fn until_stopped<T>(
    act: impl Future<Output = Result<T, CommandError>>,
) -> Result<Option<T>, CommandError> {
    let listen = |kind| signal(kind).map_err(starting("listen to signals"));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let mut quit = listen(SignalKind::quit())?;
    tokio::select! {
        done = act => done.map(Some),
        _ = interrupt.recv() => Ok(None),
        _ = terminate.recv() => Ok(None),
        _ = hangup.recv() => Ok(None),
        _ = quit.recv() => Ok(None),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(starting("start the async runtime"))
}

/// A registry's name: what people copy from a browser is understood, an image's name is not.
fn registry(text: &str) -> Result<String, CommandError> {
    let bare = text
        .strip_prefix("https://")
        .unwrap_or(text)
        .trim_end_matches('/');
    let name = match bare {
        "index.docker.io" | "index.docker.io/v1" | "registry-1.docker.io" => "docker.io",
        name => name,
    };
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    if is_name {
        Ok(name.to_owned())
    } else {
        Err(CommandError::NoRegistry(text.escape_debug().to_string()))
    }
}

async fn credentials(arguments: &Login) -> Result<(String, String), CommandError> {
    let read = starting("read the password");
    if arguments.password_stdin {
        let user = arguments.username.clone().ok_or(CommandError::NoUser)?;
        let text = reading(|| {
            let mut text = String::new();
            io::stdin().lock().take(LONGEST).read_to_string(&mut text)?;
            Ok(text)
        });
        let text = text.await.map_err(read)?;
        let secret = text.trim_end_matches(['\r', '\n']);
        return match secret {
            "" => Err(CommandError::NoPassword),
            secret => Ok((user, secret.to_owned())),
        };
    }
    if !io::stdin().is_terminal() {
        return Err(CommandError::NoPassword);
    }
    let user = match &arguments.username {
        Some(user) => user.clone(),
        None => ask("user: ")
            .await
            .map_err(starting("read the user's name"))?,
    };
    let secret = {
        let _hidden = Hidden::begin().map_err(starting("hide what is typed"))?;
        ask("password: ").await.map_err(read)?
    };
    if secret.is_empty() {
        return Err(CommandError::NoPassword);
    }
    Ok((user, secret))
}

async fn ask(question: &'static str) -> io::Result<String> {
    let line = reading(move || {
        let mut errors = io::stderr().lock();
        errors.write_all(question.as_bytes())?;
        errors.flush()?;
        drop(errors);
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok(line)
    });
    Ok(line.await?.trim_end_matches(['\r', '\n']).to_owned())
}

/// Reads where it can be left alone: nothing else ends a read of a terminal.
async fn reading(read: impl FnOnce() -> io::Result<String> + Send + 'static) -> io::Result<String> {
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// As long as it exists the terminal shows nothing of what is typed.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let modes = tcgetattr(io::stdin())?;
        let mut quiet = modes.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(modes))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
        // The line's end was not shown either.
        complain("");
    }
}
