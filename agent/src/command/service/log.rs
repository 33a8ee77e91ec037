//! `agent logs JOB`.

use std::io::{self, Write as _};
use std::time::Duration;

use protocol::service::{AttemptId, Job, JobId, JobState, StreamName, path};

use super::super::CommandError;
use super::super::error::starting;
use super::read::{Ended, Times, rest};
use super::{client, wait};
use crate::cli::Logs;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::source::Client;

/// How often a log that grows is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// What to show of a job's logs.
#[derive(Debug)]
struct Wanted<'a> {
    step: Option<&'a str>,
    follow: bool,
    timestamps: bool,
}

/// Prints the logs of a job's steps, one behind the other.
pub fn logs(id: JobId, arguments: &Logs, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = client(&arguments.server, machine)?;
    wait(async {
        let wanted = Wanted {
            step: arguments.step.as_deref(),
            follow: arguments.follow,
            timestamps: arguments.timestamps,
        };
        match print(&client, id, arguments.attempt, &wanted).await {
            Err(CommandError::Start { source, .. })
                if source.kind() == io::ErrorKind::BrokenPipe =>
            {
                Ok(ExitCode::Success)
            }
            other => other.map(|()| ExitCode::Success),
        }
    })
}

async fn print(
    client: &Client,
    id: JobId,
    attempt: Option<u32>,
    wanted: &Wanted<'_>,
) -> Result<(), CommandError> {
    let address = path::of_job(path::JOB, id);
    loop {
        let job: Job = client.get(&address).await?;
        let number = attempt.unwrap_or(job.summary.attempt);
        let Some(of) = job.attempts.iter().find(|of| of.attempt == number) else {
            if wanted.follow && job.summary.state != JobState::Finished {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            return match attempt {
                Some(attempt) => Err(CommandError::NoAttempt { job: id, attempt }),
                None => Ok(()),
            };
        };
        let of = AttemptId {
            job: id,
            attempt: of.attempt,
        };
        if let Some(name) = wanted.step
            && !job.steps.iter().any(|step| step == name)
        {
            return Err(CommandError::NoStep {
                job: id,
                step: name.to_owned(),
                steps: job.steps,
            });
        }
        let mut ended = Ended::of(client, of);
        // One behind the other, whatever ran at once.
        for (index, step) in job.steps.iter().enumerate() {
            if wanted.step.is_none_or(|name| name == step) {
                stream(client, of, (index, step), &mut ended, wanted).await?;
            }
        }
        return Ok(());
    }
}

/// Prints one log.
async fn stream(
    client: &Client,
    of: AttemptId,
    (index, step): (usize, &str),
    ended: &mut Ended,
    wanted: &Wanted<'_>,
) -> Result<(), CommandError> {
    let name = StreamName::step(u32::try_from(index).unwrap_or(u32::MAX));
    let address = path::of_log(path::LOG, of, &name);
    let mut times = wanted.timestamps.then(|| Times::of(client, of, &name));
    let mut offset = 0;
    loop {
        // What is over before the last look cannot be missed by it.
        let is_over = !wanted.follow || ended.has(step).await?;
        let mut pieces = Vec::new();
        rest(client, &address, &mut offset, |_, bytes| match times {
            None => write(bytes),
            Some(_) => {
                pieces.extend_from_slice(bytes);
                Ok(())
            }
        })
        .await?;
        if let Some(times) = &mut times {
            write(&times.stamp(&pieces, is_over).await?)?;
        }
        if is_over {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn write(bytes: &[u8]) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(starting("write to standard output"))
}
