//! `agent submit`.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read as _;
use std::path::Path;

use pipelines::Event;
use protocol::service::{Pipeline, Submit as Wanted, Submitted, Trigger, path};

use super::super::CommandError;
use super::super::printing::print;
use super::{client, follow, nothing, patient, print_json, wait};
use crate::cli::{self, Submit};
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::source::{Backoff, CallError, Client};

/// Largest pipeline that is read, bytes.
const LARGEST: u64 = 1 << 20;

/// How often a server is asked that cannot be reached.
const ATTEMPTS: u32 = 5;

/// Has a server run a pipeline.
pub fn submit(arguments: &Submit, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = client(&arguments.server, machine)?;
    let wanted = wanted(arguments)?;
    let submitted: Submitted = wait(send(&client, &wanted))?;
    if arguments.follow {
        let client = patient(client, arguments.patience);
        return follow::pipeline(&client, submitted.pipeline, arguments.json, machine);
    }
    match arguments.json {
        true => print_json(&submitted)?,
        false => print(&format!("{}\n", submitted.pipeline))?,
    }
    // It was submitted, whatever comes of this.
    let address = path::of_pipeline(path::PIPELINE, submitted.pipeline);
    let looked = wait(async { Ok(client.get::<Pipeline>(&address).await?) });
    Ok(match looked {
        Ok(pipeline) if nothing::runs(&pipeline) => nothing::told(&pipeline),
        Ok(_) | Err(_) => ExitCode::Success,
    })
}

/// The same submission as often as it takes: its key keeps a lost answer from making a second pipeline.
async fn send(client: &Client, wanted: &Wanted) -> Result<Submitted, CommandError> {
    let mut backoff = Backoff::default();
    let mut attempt = 1;
    loop {
        match client.post(path::PIPELINES, wanted).await {
            Err(error @ CallError::Unreachable { .. }) if attempt < ATTEMPTS => {
                tracing::debug!(%error, attempt, "the submission is sent again");
                attempt += 1;
                tokio::time::sleep(backoff.wait()).await;
            }
            other => return Ok(other?),
        }
    }
}

fn wanted(arguments: &Submit) -> Result<Wanted, CommandError> {
    let event = arguments.event.map_or(Event::Manual, event);
    let trigger = Trigger {
        filtered: arguments.event.is_some(),
        fork: arguments.fork,
        branch: arguments.branch.clone(),
        base: arguments.base.clone(),
        tag: arguments.tag.clone(),
        inputs: arguments.input.iter().cloned().collect(),
        ..Trigger::of(event)
    };
    Ok(Wanted {
        repository: match arguments.no_repo {
            true => None,
            false => Some(repository(&arguments.repo)?),
        },
        reference: arguments.reference.clone(),
        pipeline: arguments.pipeline.as_deref().map(text).transpose()?,
        trigger,
        variables: arguments.env.iter().cloned().collect(),
        jobs: arguments.jobs.clone(),
        priority: arguments.priority,
        key: Some(format!(
            "{:016x}{:016x}",
            RandomState::new().hash_one(std::process::id()),
            RandomState::new().hash_one(1_u8)
        )),
    })
}

/// As the protocol calls it.
pub(super) const fn event(event: cli::Event) -> Event {
    match event {
        cli::Event::Manual => Event::Manual,
        cli::Event::Push => Event::Push,
        cli::Event::PullRequest => Event::PullRequest,
        cli::Event::Tag => Event::Tag,
        cli::Event::Schedule => Event::Schedule,
    }
}

/// A URL as it is, a path as the server's machine knows it.
pub(super) fn repository(repo: &str) -> Result<String, CommandError> {
    let path = Path::new(repo);
    if !path.exists() {
        return Ok(repo.to_owned());
    }
    let unread = |source| CommandError::Unread {
        path: path.to_owned(),
        source,
    };
    let path = path.canonicalize().map_err(unread)?;
    path.into_os_string()
        .into_string()
        .map_err(|_| unread(std::io::Error::other("it is not UTF-8")))
}

fn text(path: &Path) -> Result<String, CommandError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(source) => Err(CommandError::Unread {
            path: path.to_owned(),
            source,
        }),
    }
}
