//! `agent stats`: what running containers use.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use runtime::container::Load;
use serde::Serialize;

use super::CommandError;
use super::printing::{aligned, print};
use crate::cli::{PsFormat, Stats};
use crate::door::{self, Containers, DoorError, Found, Status, Uses};
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::output::Stdout;
use crate::sink::size;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// The same where there are only two: CPU time is told in hundredths of a second.
const SHORT_INTERVAL: Duration = Duration::from_millis(500);
/// Puts the cursor into the corner; clears the rest of a line; clears everything below.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Shows it until nobody reads any more, or none of the containers that were named runs.
///
/// # Errors
/// When a container that was named does not exist or does not run, or the data directory cannot be read.
pub fn execute(arguments: &Stats, machine: &Machine) -> Result<ExitCode, CommandError> {
    let containers = Containers::of(&machine.data);
    for name in &arguments.containers {
        let found = containers.find(name)?;
        if door::uses(&found)?.is_none() {
            let name = found.record.name;
            return Err(DoorError::NotRunning { name }.into());
        }
    }
    let mut before = look(&containers, &arguments.containers)?;
    let interval = match arguments.no_stream {
        true => SHORT_INTERVAL,
        false => INTERVAL,
    };
    let in_place = !arguments.no_stream && Stdout::is_terminal();
    loop {
        std::thread::sleep(interval);
        let now = look(&containers, &arguments.containers)?;
        if now.is_empty() && !arguments.containers.is_empty() {
            return Ok(ExitCode::Success);
        }
        let lines: Vec<_> = now.iter().map(|look| look.since(&before)).collect();
        let text = match arguments.format {
            PsFormat::Table if in_place => redrawn(&table(&lines)),
            PsFormat::Table => table(&lines),
            PsFormat::Json => json(&lines)?,
        };
        if arguments.no_stream {
            print(&text)?;
            return Ok(ExitCode::Success);
        }
        let mut stdout = io::stdout().lock();
        if stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .is_err()
        {
            // Whoever read has seen enough.
            return Ok(ExitCode::Success);
        }
        before = now;
    }
}

/// One container at one moment.
struct Look {
    name: String,
    at: Instant,
    uses: Uses,
}

/// At those that run, by name.
fn look(containers: &Containers, names: &[String]) -> Result<Vec<Look>, CommandError> {
    let found: Vec<Found> = match names {
        [] => containers.all()?,
        // One that was forgotten meanwhile is over.
        names => names
            .iter()
            .filter_map(|name| containers.find(name).ok())
            .collect(),
    };
    let mut looks = Vec::new();
    for found in found {
        if found.status == Status::Running
            && let Some(uses) = door::uses(&found)?
        {
            looks.push(Look {
                name: found.record.name.to_string(),
                at: Instant::now(),
                uses,
            });
        }
    }
    looks.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(looks)
}

/// A container, for programs.
#[derive(Debug, Serialize)]
struct Line<'a> {
    name: &'a str,
    /// Of one core.
    cpu_percent: f64,
    cpu_us: u64,
    memory_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_limit_bytes: Option<u64>,
    pids: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pids_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_bytes: Option<u64>,
}

impl Look {
    /// With the share of a core since the look before, or since no time at all.
    fn since(&self, before: &[Self]) -> Line<'_> {
        let earlier = before.iter().find(|look| look.name == self.name);
        let Uses { load, limits } = self.uses;
        Line {
            name: &self.name,
            cpu_percent: earlier.map_or(0.0, |earlier| {
                percent(&earlier.uses.load, &load, self.at - earlier.at)
            }),
            cpu_us: u64::try_from(load.cpu.as_micros()).unwrap_or(u64::MAX),
            memory_bytes: load.memory,
            memory_limit_bytes: limits.memory,
            pids: load.pids,
            pids_limit: limits.pids,
            read_bytes: load.read,
            written_bytes: load.written,
        }
    }
}

/// To one decimal.
fn percent(before: &Load, now: &Load, passed: Duration) -> f64 {
    let used = now.cpu.saturating_sub(before.cpu).as_secs_f64();
    let share = used / passed.as_secs_f64().max(f64::EPSILON);
    (share * 1000.0).round() / 10.0
}

fn table(lines: &[Line<'_>]) -> String {
    let head = ["NAME", "CPU", "MEMORY", "PIDS", "READ", "WRITTEN"].map(str::to_owned);
    let of = |used: String, limit: Option<String>| match limit {
        Some(limit) => format!("{used} / {limit}"),
        None => used,
    };
    let rows = lines.iter().map(|line| {
        [
            line.name.to_owned(),
            format!("{:.1}%", line.cpu_percent),
            of(size(line.memory_bytes), line.memory_limit_bytes.map(size)),
            of(
                line.pids.to_string(),
                line.pids_limit.map(|limit| limit.to_string()),
            ),
            line.read_bytes.map_or_else(String::new, size),
            line.written_bytes.map_or_else(String::new, size),
        ]
    });
    aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// Over what was drawn before.
fn redrawn(table: &str) -> String {
    let mut text = HOME.to_owned();
    for line in table.lines() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{line}{CLEAR_LINE}\r\n");
    }
    text + CLEAR_BELOW
}

fn json(lines: &[Line<'_>]) -> Result<String, CommandError> {
    let text = serde_json::to_string(lines);
    Ok(text.map_err(|error| CommandError::Write(error.to_string()))? + "\n")
}

#[cfg(test)]
mod tests {
    use runtime::container::Resources;

    use super::*;

    fn look(name: &str, at: Instant, cpu_ms: u64) -> Look {
        Look {
            name: name.to_owned(),
            at,
            uses: Uses {
                load: Load {
                    cpu: Duration::from_millis(cpu_ms),
                    memory: 3 << 20,
                    pids: 2,
                    read: Some(4096),
                    written: None,
                },
                limits: Resources {
                    memory: Some(64 << 20),
                    ..Resources::default()
                },
            },
        }
    }

    #[test]
    fn cpu_is_a_share_of_a_core_since_the_last_look() {
        let first = Instant::now();
        let second = first + Duration::from_secs(2);
        let before = [look("web", first, 1000)];
        let now = [look("new", second, 500), look("web", second, 4000)];
        let lines: Vec<_> = now.iter().map(|look| look.since(&before)).collect();
        insta::assert_snapshot!(table(&lines), @r"
        NAME  CPU     MEMORY              PIDS  READ     WRITTEN
        new   0.0%    3.0 MiB / 64.0 MiB  2     4.0 KiB
        web   150.0%  3.0 MiB / 64.0 MiB  2     4.0 KiB
        ");
        insta::assert_snapshot!(json(&lines).unwrap(), @r#"[{"name":"new","cpu_percent":0.0,"cpu_us":500000,"memory_bytes":3145728,"memory_limit_bytes":67108864,"pids":2,"read_bytes":4096},{"name":"web","cpu_percent":150.0,"cpu_us":4000000,"memory_bytes":3145728,"memory_limit_bytes":67108864,"pids":2,"read_bytes":4096}]"#);
    }
}
