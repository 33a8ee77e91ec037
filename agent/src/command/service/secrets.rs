//! `agent secrets`. A value comes from standard input or a file: it is on no command line, and in no message.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::PathBuf;

use protocol::service::{self, Secret, SecretText, limits, path};
use zeroize::Zeroize as _;

use super::super::CommandError;
use super::super::printing::{aligned, print};
use super::submit::{event, repository};
use super::{client, print_json, show, wait};
use crate::cli::{self, SecretOperation, Secrets};
use crate::clock::unix_ms;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::sink::sanitise;

/// Lists, sets and removes secrets.
pub fn secrets(arguments: &Secrets, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = client(&arguments.server, machine)?;
    let repository = arguments.repo.as_deref().map(repository).transpose()?;
    let repository = repository.as_deref();
    match &arguments.operation {
        None => {
            let address = path::of_secrets(repository);
            let all: service::Secrets = wait(async { Ok(client.get(&address).await?) })?;
            match arguments.json {
                true => print_json(&all)?,
                false => print(&table(&all.secrets))?,
            }
        }
        Some(SecretOperation::Set(secret)) => {
            let wanted = wanted(secret)?;
            let address = path::of_secret(&secret.name, repository);
            wait(async { Ok(client.put(&address, &wanted).await?) })?;
        }
        Some(SecretOperation::Remove { name }) => {
            let address = path::of_secret(name, repository);
            wait(async { Ok(client.delete(&address).await?) })?;
        }
    }
    Ok(ExitCode::Success)
}

fn wanted(secret: &cli::SetSecret) -> Result<service::SetSecret, CommandError> {
    let value = match &secret.file {
        Some(path) => {
            let unread = |source| CommandError::Unread {
                path: path.clone(),
                source,
            };
            SecretText::new(text(File::open(path).map_err(unread)?).map_err(unread)?)
        }
        None if io::stdin().is_terminal() => return Err(CommandError::TypedSecret),
        None => {
            let read = text(io::stdin().lock());
            let mut value = read.map_err(|source| CommandError::Unread {
                path: PathBuf::from("standard input"),
                source,
            })?;
            // What `echo` and an editor put behind it.
            if value.ends_with('\n') {
                value.pop();
                if value.ends_with('\r') {
                    value.pop();
                }
            }
            SecretText::new(value)
        }
    };
    Ok(service::SetSecret {
        value,
        events: secret.event.iter().copied().map(event).collect(),
        branches: secret.branch.clone(),
    })
}

/// All of it, as text. A little more than a secret may have, so that the server says that it is too long.
fn text(source: impl Read) -> io::Result<String> {
    let mut bytes = Vec::with_capacity(limits::SECRET + 2);
    source
        .take(limits::SECRET as u64 + 2)
        .read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|error| {
        error.into_bytes().zeroize();
        io::Error::other("it is not UTF-8")
    })
}

fn table(secrets: &[Secret]) -> String {
    let now = unix_ms();
    let head = ["SECRET", "EVENTS", "BRANCHES", "SET", "BY"].map(str::to_owned);
    let rows = secrets.iter().map(|secret| {
        let events = secret.events.iter().map(|event| event.as_str());
        let all = |words: Vec<&str>| match words.is_empty() {
            true => "all".to_owned(),
            false => sanitise(&words.join(",")),
        };
        [
            sanitise(&secret.name),
            all(events.collect()),
            all(secret.branches.iter().map(String::as_str).collect()),
            show::ago(secret.set_at, now),
            sanitise(&secret.set_by),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    aligned(&rows)
}
