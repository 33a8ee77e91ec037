//! The directory of an attempt.
//!
//! ```text
//! <data>/jobs/12-1/assignment.json   what was assigned, without the values of secrets
//!                  events.jsonl      one event a line; a line's number is the event's
//!                  logs/step-0       and service-db, each with .times beside it; artifact-NAME, cache-0
//!                  cache-wanted.json what the job looks for, until the daemon has seen it
//!                  tree/             the commit's files, while the job runs
//!                  finished.json     how the job ended; once it is there, nothing else changes any more
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use protocol::service::{ArtifactEnd, Assignment, AttemptId, CacheEnd, JobId, StreamName};
use protocol::{Cause, Conclusion, Event};
use serde::{Deserialize, Serialize};

use crate::log::ATTEMPT_LOGS;

/// Largest `finished.json` that is read, bytes: outputs are bounded by the protocol.
const LARGEST: u64 = 8 << 20;

/// Of what the daemon itself adds to the events, and more, bytes: a warning for each cache.
const ADDED: u64 = 1 << 20;

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// As told by its last event.
    pub conclusion: Conclusion,
    /// Likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What it leaves for other jobs.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub outputs: IndexMap<String, String>,
    /// This machine is to blame, and why: another one may have more luck with the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_fault: Option<String>,
    /// What it has kept of its workspace; the archives are among the streams.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactEnd>,
    /// The same of caches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<CacheEnd>,
}

/// An attempt's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    directory: PathBuf,
}

/// The directory cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("failed to {operation} {path}: {source}", path = path.display())]
pub struct SpoolError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError {
        operation,
        path,
        source,
    }
}

impl Spool {
    /// The directory of an attempt below the machine's data.
    #[must_use]
    pub fn of(data: &Path, id: AttemptId) -> Self {
        Self {
            directory: data.join("jobs").join(id.to_string()),
        }
    }

    /// The one at a place.
    #[must_use]
    pub const fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Makes the directory, which must not exist, and notes what was assigned, without the values of secrets.
    ///
    /// # Errors
    /// See [`SpoolError`].
    pub fn create(&self, assignment: &Assignment) -> Result<(), SpoolError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.directory.parent().unwrap_or(&self.directory))
            .and_then(|()| DirBuilder::new().mode(0o700).create(&self.directory))
            .map_err(failed("make the directory", &self.directory))?;
        let mut noted = assignment.clone();
        noted.secrets.clear();
        self.write("assignment.json", &noted)
    }

    /// Every attempt that is here, oldest job first. What is none is left alone.
    #[must_use]
    pub fn all(data: &Path) -> Vec<(AttemptId, Self)> {
        let Ok(entries) = fs::read_dir(data.join("jobs")) else {
            return Vec::new();
        };
        let mut all: Vec<(AttemptId, Self)> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let (job, attempt) = name.split_once('-')?;
                let id = AttemptId {
                    job: JobId(job.parse().ok()?),
                    attempt: attempt.parse().ok()?,
                };
                (id.to_string() == name).then(|| (id, Self::at(entry.path())))
            })
            .collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// Where the events are.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.directory.join("events.jsonl")
    }

    /// Adds events behind those that the job's process has left, which is over. Those that were added already, by a daemon that
    /// has died meanwhile, are not added again. Nothing is where the last line is not whole: who reads events stops there.
    ///
    /// # Errors
    /// See [`SpoolError`].
    pub fn add_events(&self, events: impl IntoIterator<Item = Event>) -> Result<(), SpoolError> {
        let path = self.events();
        let add = || -> io::Result<()> {
            let mut file = OpenOptions::new().read(true).append(true).open(&path)?;
            let begin = file.metadata()?.len().saturating_sub(ADDED);
            file.seek(SeekFrom::Start(begin))?;
            let mut there = Vec::new();
            file.read_to_end(&mut there)?;
            if there.last().is_some_and(|last| *last != b'\n') {
                return Ok(());
            }
            let mut lines = Vec::new();
            for event in events {
                let line = serde_json::to_vec(&event)?;
                if there
                    .split(|byte| *byte == b'\n')
                    .all(|other| other != line)
                {
                    lines.extend(line);
                    lines.push(b'\n');
                }
            }
            file.write_all(&lines)
        };
        add().map_err(failed("write", &path))
    }

    /// Where the job's files are checked out.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        self.directory.join("tree")
    }

    /// Where a stream is.
    #[must_use]
    pub fn log(&self, name: &StreamName) -> PathBuf {
        self.directory.join(ATTEMPT_LOGS).join(name.to_string())
    }

    /// The streams that are there, by name.
    ///
    /// # Errors
    /// See [`SpoolError`].
    pub fn logs(&self) -> Result<Vec<StreamName>, SpoolError> {
        let path = self.directory.join(ATTEMPT_LOGS);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            // The job's process has not come so far.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read the directory", &path)(error)),
        };
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<StreamName> = names.filter_map(|name| name.parse().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Notes how the job ended: on the disk when this returns, and before it everything that the job has left. A machine that
    /// loses its power must not come back with a job that is over and half of its log.
    ///
    /// # Errors
    /// See [`SpoolError`].
    pub fn finish(&self, finished: &Finished) -> Result<(), SpoolError> {
        let logs = self.directory.join(ATTEMPT_LOGS);
        for path in self
            .logs()?
            .iter()
            .map(|name| self.log(name))
            .chain([self.events(), logs])
        {
            match File::open(&path).and_then(|file| file.sync_all()) {
                Ok(()) => {}
                // The job has not come so far.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("write", &path)(error)),
            }
        }
        self.write("finished.json", finished)
    }

    /// How the job ended; `None` when it has not.
    ///
    /// # Errors
    /// See [`SpoolError`].
    pub fn finished(&self) -> Result<Option<Finished>, SpoolError> {
        let path = self.directory.join("finished.json");
        let read = || -> io::Result<Option<Finished>> {
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            let text = io::read_to_string(io::Read::take(file, LARGEST))?;
            Ok(Some(serde_json::from_str(&text)?))
        };
        read().map_err(failed("read", &path))
    }

    /// Removes the checked-out files.
    pub fn remove_tree(&self) {
        remove(&self.tree());
    }

    /// Removes everything. Best effort: what stays is tried again at the next start.
    pub fn remove(&self) {
        // First what says that it is an attempt: half removed, it is not to be taken for one.
        for name in ["assignment.json", "finished.json"] {
            let _ = fs::remove_file(self.directory.join(name));
        }
        remove(&self.directory);
    }

    /// Whether it was made to its end, and not half removed.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.directory.join("assignment.json").exists()
    }

    /// Writes a file that is there whole or not at all, whatever happens.
    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), SpoolError> {
        let (path, unfinished) = (
            self.directory.join(name),
            self.directory.join(format!("{name}.new")),
        );
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&unfinished)?;
            file.write_all(&serde_json::to_vec(value)?)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(failed("write", &path))
    }
}

fn remove(path: &Path) {
    match fs::remove_dir_all(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %path.display(), %error, "a directory stays"),
    }
}

#[cfg(test)]
mod tests;
