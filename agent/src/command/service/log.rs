//! `agent logs JOB`: of its steps, of one of them, or of a service.

use std::io::{self, Write as _};
use std::time::Duration;

use protocol::Conclusion;
use protocol::service::{AttemptId, AttemptState, Job, JobId, JobState, StreamName, path};

use super::super::CommandError;
use super::super::error::starting;
use super::read::{Ended, Tail, Times, rest};
use super::{client, patient, show, wait};
use crate::cli::Logs;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::output::complain;
use crate::source::Client;

/// How often a log that grows is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// What to show of a job's logs.
#[derive(Debug)]
struct Wanted<'a> {
    step: Option<&'a str>,
    service: Option<&'a str>,
    follow: bool,
    timestamps: bool,
}

/// Where the logs go.
#[derive(Debug)]
struct Out {
    /// How many lines from the end are wanted, and what has come so far.
    tail: Option<(usize, Vec<u8>)>,
}

impl Out {
    fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        match &mut self.tail {
            None => write(bytes),
            Some((lines, kept)) => {
                kept.extend_from_slice(bytes);
                // Not for each piece: looking for lines takes time.
                if kept.len() > KEPT {
                    let from = last_lines(kept, *lines);
                    kept.drain(..from);
                }
                Ok(())
            }
        }
    }

    /// Everything has come, or everything there is before what is still to come.
    fn caught_up(&mut self) -> Result<(), CommandError> {
        match self.tail.take() {
            Some((lines, kept)) => write(kept.get(last_lines(&kept, lines)..).unwrap_or_default()),
            None => Ok(()),
        }
    }
}

/// So much is kept before it is looked for lines that nobody wants, bytes.
const KEPT: usize = 16 << 20;

/// Where the last lines begin.
fn last_lines(text: &[u8], lines: usize) -> usize {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    match lines {
        0 => text.len() + 1,
        lines => memchr::memrchr_iter(b'\n', text)
            .nth(lines - 1)
            .map_or(0, |at| at + 1),
    }
}

/// Prints the logs of a job's steps, one behind the other.
pub fn logs(id: JobId, arguments: &Logs, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = client(&arguments.server, machine)?;
    let client = match arguments.follow {
        true => patient(client, arguments.patience),
        false => client,
    };
    wait(async {
        let wanted = Wanted {
            step: arguments.step.as_deref(),
            service: arguments.service.as_deref(),
            follow: arguments.follow,
            timestamps: arguments.timestamps,
        };
        let mut out = Out {
            tail: arguments.tail.map(|lines| (lines, Vec::new())),
        };
        match print(&client, id, arguments.attempt, &wanted, &mut out).await {
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
    out: &mut Out,
) -> Result<(), CommandError> {
    let address = path::of_job(path::JOB, id);
    // An address that is wrong is not to be waited for.
    let mut job: Job = client.get(&address).await?;
    let mut is_first = true;
    let mut told = None;
    loop {
        if !std::mem::take(&mut is_first) {
            tokio::time::sleep(LOOK).await;
            job = client.persist("job", || client.get(&address)).await?;
        }
        let last = job.attempts.last();
        let is_between = last.is_some_and(|last| last.state != AttemptState::Running)
            && job.summary.state != JobState::Finished;
        if wanted.follow && attempt.is_none() && is_between {
            // The attempt was lost, and there will be another one.
            continue;
        }
        let last = last.map(|last| last.attempt);
        let of = match (attempt, last) {
            (None, Some(last)) => Some(last),
            (wanted, _) => {
                wanted.filter(|wanted| job.attempts.iter().any(|of| of.attempt == *wanted))
            }
        };
        let Some(of) = of else {
            let state = show::outcome(&job.summary);
            if attempt.is_none() && told.as_ref() != Some(&state) {
                complain(format_args!(
                    "{} has no log: {state}",
                    show::named(&job.summary)
                ));
                told = Some(state);
            }
            if wanted.follow && job.summary.state != JobState::Finished {
                continue;
            }
            return match attempt {
                Some(attempt) => Err(CommandError::NoAttempt {
                    job: id,
                    attempt,
                    attempts: job.attempts.iter().map(|of| of.attempt).collect(),
                }),
                None => Ok(()),
            };
        };
        let attempt_of = job.attempts.iter().find(|it| it.attempt == of);
        if let Some(over) = attempt_of.filter(|it| it.state != AttemptState::Running)
            && over.logs.iter().all(|log| log.length == 0)
            && over.conclusion != Some(Conclusion::Success)
        {
            complain(format_args!(
                "attempt {of} of {} has no log: {}{}",
                show::named(&job.summary),
                show::attempt(over),
                show::because(over.cause.as_ref())
            ));
        }
        let of = AttemptId {
            job: id,
            attempt: of,
        };
        let mut ended = Ended::of(client, of);
        // One behind the other, whatever ran at once.
        for (name, step) in chosen(id, job, wanted)? {
            stream(
                client,
                of,
                (&name, step.as_deref()),
                &mut ended,
                wanted,
                out,
            )
            .await?;
        }
        return out.caught_up();
    }
}

/// The logs that are wanted; with the step each is of, if it is of one.
fn chosen(
    id: JobId,
    job: Job,
    wanted: &Wanted<'_>,
) -> Result<Vec<(StreamName, Option<String>)>, CommandError> {
    if let Some(name) = wanted.service {
        let found = job.services.iter().any(|service| service == name);
        return match StreamName::service(name).filter(|_| found) {
            Some(stream) => Ok(vec![(stream, None)]),
            None => Err(CommandError::NoService {
                job: id,
                service: name.to_owned(),
                services: job.services,
            }),
        };
    }
    if let Some(name) = wanted.step
        && !job.steps.iter().any(|step| step == name)
    {
        return Err(CommandError::NoStep {
            job: id,
            step: name.to_owned(),
            steps: job.steps,
        });
    }
    let steps = job.steps.into_iter().zip(0_u32..);
    let steps = steps.filter(|(step, _)| wanted.step.is_none_or(|name| name == step));
    let stream = |(step, index)| (StreamName::step(index), Some(step));
    Ok(steps.map(stream).collect())
}

/// Prints one log.
async fn stream(
    client: &Client,
    of: AttemptId,
    (name, step): (&StreamName, Option<&str>),
    ended: &mut Ended,
    wanted: &Wanted<'_>,
    out: &mut Out,
) -> Result<(), CommandError> {
    let address = path::of_log(path::LOG, of, name);
    let mut times = wanted.timestamps.then(|| Times::of(client, of, name));
    let mut offset = 0;
    let mut tail = None;
    loop {
        // What is over before the last look cannot be missed by it.
        let is_over = !wanted.follow || ended.has(step).await?;
        let mut pieces = Vec::new();
        rest(client, &address, &mut offset, |_, bytes| match times {
            None => out.write(bytes),
            Some(_) => {
                pieces.extend_from_slice(bytes);
                Ok(())
            }
        })
        .await?;
        if let Some(times) = &mut times {
            out.write(&times.stamp(&pieces, is_over).await?)?;
        }
        if is_over {
            return Ok(());
        }
        // What comes from now on is new.
        out.caught_up()?;
        let tail = tail.get_or_insert_with(|| Tail::of(client, of, name, offset));
        // It has grown, or it is time to ask whether it is over.
        if let Ok(grown) = tokio::time::timeout(LOOK, tail.next()).await {
            grown?;
        }
    }
}

fn write(bytes: &[u8]) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(starting("write to standard output"))
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn lines_are_counted_from_the_end() {
        let tail =
            |text: &'static str, lines| &text[last_lines(text.as_bytes(), lines).min(text.len())..];
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a\nb\n", 9), "a\nb\n");
        assert_eq!(tail("a\n", 0), "");
        assert_eq!(tail("", 3), "");
    }
}
