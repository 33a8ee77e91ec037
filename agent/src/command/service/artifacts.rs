//! `agent artifacts JOB [NAME]`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::service::{Artifact, Artifacts as Answer, AttemptId, JobId, ProblemCode, path};
use sha2::{Digest as _, Sha256};

use super::super::CommandError;
use super::super::error::starting;
use super::super::printing::{aligned, print};
use super::{client, patient, print_json, show, wait};
use crate::cli::Artifacts;
use crate::clock::unix_ms;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::output::{Stdout, complain};
use crate::sink::{sanitise, size};
use crate::source::{CallError, Client};

/// Times in a row that a fetch may be cut off without a byte.
const PATIENCE: u32 = 10;

/// How long a server is waited for that is full or away, or whose storage is.
const AWAY: Duration = Duration::from_secs(60);

/// Lists what a job has left, or fetches one of it.
pub fn artifacts(arguments: &Artifacts, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = patient(client(&arguments.server, machine)?, AWAY);
    wait(async {
        let address = path::of_job(path::ARTIFACTS, arguments.job);
        let mut answer: Answer = client.get(&address).await?;
        if let Some(attempt) = arguments.attempt {
            answer
                .artifacts
                .retain(|artifact| artifact.attempt == attempt);
        }
        match &arguments.name {
            None if arguments.json => print_json(&answer)?,
            None => print(&table(&answer.artifacts))?,
            Some(name) => {
                let artifact = choose(arguments.job, name, answer.artifacts)?;
                fetch(&client, arguments, &artifact).await?;
            }
        }
        Ok(ExitCode::Success)
    })
}

/// The newest of this name: the server lists them in this order.
fn choose(job: JobId, name: &str, all: Vec<Artifact>) -> Result<Artifact, CommandError> {
    let mut names: Vec<String> = all.iter().map(|artifact| artifact.name.clone()).collect();
    names.sort();
    names.dedup();
    let found = all.into_iter().find(|artifact| artifact.name == name);
    let name = name.to_owned();
    match found {
        None => Err(CommandError::NoArtifact { job, name, names }),
        Some(artifact) if artifact.expired => Err(CommandError::ExpiredArtifact { job, name }),
        Some(artifact) => Ok(artifact),
    }
}

/// Fetches an archive and compares it with what the job's agent has said of it.
async fn fetch(
    client: &Client,
    arguments: &Artifacts,
    artifact: &Artifact,
) -> Result<(), CommandError> {
    let of = AttemptId {
        job: arguments.job,
        attempt: artifact.attempt,
    };
    let address = path::of_artifact(of, &artifact.name);
    match arguments.output.as_deref() {
        Some(output) if output == Path::new("-") => {
            if Stdout::is_terminal() {
                return Err(CommandError::ArchiveToTerminal);
            }
            let mut out = Stdout::open().map_err(starting("open standard output"))?;
            let failed = |source| CommandError::Unwritten {
                path: "standard output".to_owned(),
                source,
            };
            receive(client, &address, artifact, &mut out, failed).await?;
            out.flush().map_err(failed)
        }
        output => {
            let path = output.map_or_else(
                || PathBuf::from(format!("{}.tar.gz", artifact.name)),
                Path::to_path_buf,
            );
            let shown = path.display().to_string();
            let failed = |source| CommandError::Unwritten {
                path: shown.clone(),
                source,
            };
            let directory = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
                .unwrap_or_else(|| Path::new("."));
            // Under its name there is the whole archive, or none.
            let mut unfinished = tempfile::Builder::new()
                .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
                .tempfile_in(directory)
                .map_err(failed)?;
            receive(client, &address, artifact, unfinished.as_file_mut(), failed).await?;
            let file: File = unfinished
                .persist(&path)
                .map_err(|error| failed(error.error))?;
            drop(file);
            complain(format_args!("{shown}: {}", size(artifact.size)));
            Ok(())
        }
    }
}

/// Takes all bytes, from where it was cut off wherever that happens.
async fn receive(
    client: &Client,
    address: &str,
    artifact: &Artifact,
    out: &mut impl Write,
    failed: impl Fn(io::Error) -> CommandError,
) -> Result<(), CommandError> {
    let (mut hasher, mut offset, mut patience) = (Sha256::new(), 0, PATIENCE);
    while offset < artifact.size {
        let answer = client
            .persist("artifact", || client.bytes(address, offset))
            .await;
        let mut pieces = match answer {
            Ok(pieces) => pieces,
            // It may have expired while it was fetched.
            Err(error) if error.code() == Some(ProblemCode::NotFound) => return Err(error.into()),
            // Shorter than it was said to be: the checksum tells.
            Err(CallError::Refused { status: 416, .. }) => break,
            Err(error) => return Err(error.into()),
        };
        let before = offset;
        loop {
            match pieces.next().await {
                // More than it was said to be: the checksum tells.
                Ok(Some(_)) if offset > artifact.size => break,
                Ok(Some(bytes)) => {
                    hasher.update(&bytes);
                    out.write_all(&bytes).map_err(&failed)?;
                    offset += bytes.len() as u64;
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(%error, "an artifact was cut off");
                    break;
                }
            }
        }
        patience = match offset > before {
            true => PATIENCE,
            false => patience - 1,
        };
        if patience == 0 {
            break;
        }
    }
    let found: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    match found == artifact.sha256 {
        true => Ok(()),
        false => Err(CommandError::DamagedArtifact {
            name: artifact.name.clone(),
            expected: artifact.sha256.clone(),
            found,
        }),
    }
}

fn table(artifacts: &[Artifact]) -> String {
    let now = unix_ms();
    let head = ["NAME", "ATTEMPT", "SIZE", "FILES", "CREATED", "KEPT"].map(str::to_owned);
    let rows = artifacts.iter().map(|artifact| {
        [
            sanitise(&artifact.name),
            artifact.attempt.to_string(),
            size(artifact.size),
            artifact.files.to_string(),
            show::ago(artifact.created_at, now),
            kept(artifact, now),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    aligned(&rows)
}

/// How much longer.
fn kept(artifact: &Artifact, now: u64) -> String {
    let Some(until) = artifact.expires_at else {
        return "for ever".to_owned();
    };
    match until.saturating_sub(now) / 1_000 {
        _ if artifact.expired => "expired".to_owned(),
        seconds @ 0..3_600 => format!("{}m more", seconds / 60),
        seconds @ 3_600..172_800 => format!("{}h more", seconds / 3_600),
        seconds => format!("{}d more", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(attempt: u32, name: &str) -> Artifact {
        Artifact {
            attempt,
            name: name.to_owned(),
            size: 5,
            files: 1,
            bytes: 9,
            sha256: String::new(),
            created_at: 0,
            expires_at: None,
            expired: false,
        }
    }

    #[test]
    fn the_newest_of_a_name_is_chosen_and_others_are_named() {
        let all = vec![artifact(2, "app"), artifact(1, "app"), artifact(1, "log")];
        let job = JobId(7);
        assert_eq!(choose(job, "app", all.clone()).unwrap().attempt, 2);
        let error = choose(job, "ap", all.clone()).unwrap_err();
        assert_eq!(error.to_string(), "job 7 has no artifact `ap`");
        assert_eq!(error.hints(), ["it has `app`, `log`"]);
        let old = Artifact {
            expired: true,
            ..artifact(1, "old")
        };
        let error = choose(job, "old", vec![old]).unwrap_err();
        assert_eq!(error.to_string(), "artifact `old` of job 7 has expired");
    }

    #[test]
    fn how_much_longer_is_told_in_one_unit() {
        let until = |expires_at| Artifact {
            expires_at: Some(expires_at),
            ..artifact(1, "a")
        };
        let told = [90_000, 7_200_000, 30 * 86_400_000].map(|at| kept(&until(at), 0));
        assert_eq!(told, ["1m more", "2h more", "30d more"]);
        assert_eq!(kept(&artifact(1, "a"), 0), "for ever");
    }
}
