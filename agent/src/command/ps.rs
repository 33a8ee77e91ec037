//! `agent ps`: which containers there are.

use serde::Serialize;

use super::CommandError;
use super::printing::{aligned, print};
use crate::cli::{Ps, PsFormat};
use crate::clock;
use crate::door::{Containers, Found, Stage, Status};
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::sink::{duration, sanitise};

/// Of a command in the table, characters.
const LONGEST_COMMAND: usize = 40;

/// Lists them.
///
/// # Errors
/// When the data directory cannot be read.
pub fn execute(arguments: &Ps, machine: &Machine) -> Result<ExitCode, CommandError> {
    let mut all = Containers::of(&machine.data).all()?;
    if !arguments.all {
        all.retain(|found| matches!(found.status, Status::Preparing | Status::Running));
    }
    let text = match (arguments.quiet, arguments.format) {
        (true, _) => all
            .iter()
            .map(|found| format!("{}\n", found.record.name))
            .collect(),
        (false, PsFormat::Table) => table(&all, clock::unix_ms()),
        (false, PsFormat::Json) => json(&all)?,
    };
    print(&text)?;
    Ok(ExitCode::Success)
}

/// A container, for programs.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    image: &'a str,
    command: &'a [String],
    status: Status,
    created: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ports: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
}

fn json(all: &[Found]) -> Result<String, CommandError> {
    let lines: Vec<_> = all.iter().map(line).collect();
    let text = serde_json::to_string_pretty(&lines);
    Ok(text.map_err(|error| CommandError::Write(error.to_string()))? + "\n")
}

fn line(found: &Found) -> Line<'_> {
    let record = &found.record;
    let mut line = Line {
        name: record.name.as_str(),
        image: &record.image,
        command: &record.command,
        status: found.status,
        created: record.created,
        ports: &record.ports,
        started: None,
        finished: None,
        exit_code: None,
        signal: None,
    };
    match record.stage {
        Stage::Preparing => {}
        Stage::Running { started } => line.started = Some(started),
        Stage::Exited {
            started,
            finished,
            exit_code,
            signal,
        } => {
            line.started = Some(started);
            line.finished = Some(finished);
            line.exit_code = Some(exit_code);
            line.signal = signal;
        }
    }
    line
}

fn table(all: &[Found], now: u64) -> String {
    let head = ["NAME", "IMAGE", "COMMAND", "STATUS", "PORTS"].map(str::to_owned);
    let rows = all.iter().map(|found| {
        let record = &found.record;
        [
            record.name.to_string(),
            sanitise(&record.image),
            shortened(&sanitise(&record.command.join(" "))),
            status(found, now),
            ports(found),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    aligned(&rows)
}

/// They are closed when it is over.
fn ports(found: &Found) -> String {
    match found.status {
        Status::Running => found.record.ports.join(", "),
        _ => String::new(),
    }
}

fn status(found: &Found, now: u64) -> String {
    let since = |time: u64| match now.saturating_sub(time) / 1000 {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds => duration(seconds * 1000),
    };
    match (found.status, found.record.stage) {
        (Status::Preparing, _) => "preparing".to_owned(),
        (Status::Dead, _) => "dead: its supervisor was killed".to_owned(),
        (_, Stage::Running { started }) => format!("running for {}", since(started)),
        (
            _,
            Stage::Exited {
                finished,
                exit_code,
                ..
            },
        ) => {
            format!("exited ({exit_code}) {} ago", since(finished))
        }
        (_, Stage::Preparing) => "exited".to_owned(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_COMMAND) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}
