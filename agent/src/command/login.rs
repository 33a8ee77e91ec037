//! `agent login` and `agent logout`. A password is on no command line, and in no message.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use runtime::registry::{Client, KeptIn, forget_log_in, keep_log_in};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::CommandError;
use super::error::starting;
use super::printing::print;
use crate::cli::{Login, Logout};
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::output::complain;

/// Of a password, bytes.
const LONGEST: u64 = 64 * 1024;

/// Checks a log-in with its registry, and keeps it.
///
/// # Errors
/// When the registry refuses it, or it cannot be kept.
pub fn log_in(arguments: &Login, machine: &Machine) -> Result<ExitCode, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    let registry = registry(&arguments.registry)?;
    let (user, secret) = credentials(arguments)?;
    let runtime = runtime()?;
    let settings = &config.registries;
    let kept = runtime.block_on(async {
        let client = Client::new(settings)?;
        client.verify_log_in(&registry, &user, &secret).await?;
        Ok::<_, CommandError>(keep_log_in(settings, &registry, &user, &secret).await?)
    })?;
    match kept {
        KeptIn::File(path) => complain(format_args!(
            "warning: the password is readable in {}; a credential helper keeps it better (`credsStore`)",
            path.display()
        )),
        KeptIn::Helper(_) => {}
    }
    print("login succeeded\n")?;
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
    print(&if had {
        format!("log-in for {registry} removed\n")
    } else {
        format!("there was no log-in for {registry}\n")
    })?;
    Ok(ExitCode::Success)
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

fn credentials(arguments: &Login) -> Result<(String, String), CommandError> {
    let read = starting("read the password");
    let is_terminal = io::stdin().is_terminal();
    if arguments.password_stdin {
        let user = arguments.username.clone().ok_or(CommandError::NoUser)?;
        let mut text = String::new();
        io::stdin()
            .lock()
            .take(LONGEST)
            .read_to_string(&mut text)
            .map_err(read)?;
        let secret = text.trim_end_matches(['\r', '\n']);
        return match secret {
            "" => Err(CommandError::NoPassword),
            secret => Ok((user, secret.to_owned())),
        };
    }
    if !is_terminal {
        return Err(CommandError::NoPassword);
    }
    let user = match &arguments.username {
        Some(user) => user.clone(),
        None => ask("user: ").map_err(starting("read the user's name"))?,
    };
    let secret = {
        let _hidden = Hidden::begin().map_err(starting("hide what is typed"))?;
        let typed = ask("password: ");
        complain("");
        typed.map_err(read)?
    };
    if secret.is_empty() {
        return Err(CommandError::NoPassword);
    }
    Ok((user, secret))
}

fn ask(question: &str) -> io::Result<String> {
    let mut errors = io::stderr().lock();
    errors.write_all(question.as_bytes())?;
    errors.flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
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
    }
}
