//! Where a run keeps its logs, and how many runs are kept.
//!
//! ```text
//! <data>/runs/20260131T235959Z-4711/      the run's id; sorted by name is sorted by age
//!                                  lock   held as long as the run lives; a run whose lock is held is never removed
//!                                  build/0-configure.log
//!                                  build/service-db.log
//!                                  artifacts/build/NAME.tar.gz
//! <data>/jobs/12-1/logs/step-0            an attempt at a server's job: the names that the server knows,
//!                       step-0.times      and when which bytes came
//!                       artifact-NAME
//! ```

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::StepId;

/// Older runs than this many are removed when a new one starts.
const KEPT_RUNS: usize = 20;

/// Where in an attempt's directory its logs are.
pub const ATTEMPT_LOGS: &str = "logs";

/// Longest part of a step's name that ends up in a file name, bytes.
const SLUG_LIMIT: usize = 48;

/// A run's directory, locked for as long as this value lives.
#[derive(Debug)]
pub struct RunDirectory {
    id: String,
    path: PathBuf,
    /// `None` for an attempt at a server's job, whose directory is the daemon's.
    lock: Option<File>,
}

/// Why a run has no place for its logs.
#[derive(Debug, thiserror::Error)]
#[error("failed to {operation} {path}: {source}", path = path.display())]
pub struct RunDirectoryError {
    /// What was tried.
    operation: &'static str,
    /// With which file or directory.
    path: PathBuf,
    /// Why it failed.
    source: io::Error,
}

impl RunDirectory {
    /// Makes the directory of a run that starts `now`, and removes the oldest runs.
    pub fn create(data: &Path, now: jiff::Timestamp) -> Result<Self, RunDirectoryError> {
        let runs = data.join("runs");
        let failed = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| RunDirectoryError {
                operation,
                path,
                source,
            }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&runs)
            .map_err(failed("create the directory", &runs))?;
        prune(&runs, KEPT_RUNS - 1);

        let base = format!("{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), std::process::id());
        let mut id = base.clone();
        let mut attempt = 1_u32;
        let path = loop {
            let path = runs.join(&id);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => break path,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    attempt += 1;
                    id = format!("{base}-{attempt}");
                }
                Err(source) => return Err(failed("create the directory", &path)(source)),
            }
        };
        let lock = path.join("lock");
        let file = File::create(&lock).map_err(failed("create the lock", &lock))?;
        file.lock().map_err(failed("take the lock", &lock))?;
        Ok(Self {
            id,
            path,
            lock: Some(file),
        })
    }

    /// The directory of an attempt at a server's job: `path` exists, `id` is the pipeline's.
    ///
    /// # Errors
    /// When the directory for logs cannot be made.
    pub fn of_attempt(path: &Path, id: String) -> Result<Self, RunDirectoryError> {
        let logs = path.join(ATTEMPT_LOGS);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&logs)
            .map_err(|source| RunDirectoryError {
                operation: "create the directory",
                path: logs.clone(),
                source,
            })?;
        Ok(Self {
            id,
            path: logs,
            lock: None,
        })
    }

    /// Whether beside each log is told when its bytes came.
    #[must_use]
    pub const fn keeps_times(&self) -> bool {
        self.lock.is_none()
    }

    /// The run's id: its start in UTC and the agent's process id. Unique in this data directory.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where the log of a service is kept. Its name is made of letters, digits, `_` and `-`.
    #[must_use]
    pub fn service_log_path(&self, job: &str, service: &str) -> PathBuf {
        if self.lock.is_none() {
            return self.path.join(format!("service-{service}"));
        }
        let file = format!("service-{}.log", job_directory(service));
        self.path.join(job_directory(job)).join(file)
    }

    /// Where archives of artifacts are kept unless a user says where.
    #[must_use]
    pub fn artifacts(&self) -> PathBuf {
        match self.lock {
            // Streams beside the others.
            None => self.path.clone(),
            Some(_) => self.path.join("artifacts"),
        }
    }

    /// Where the log of `step` is kept. Names are reduced to characters that no shell or terminal trips over.
    #[must_use]
    pub fn log_path(&self, step: &StepId) -> PathBuf {
        if self.lock.is_none() {
            return self.path.join(format!("step-{}", step.index));
        }
        self.path.join(job_directory(&step.job)).join(format!(
            "{}-{}.log",
            step.index,
            slug(&step.step)
        ))
    }
}

/// A job's directory: its id where that is one, else what is left of it and a number that keeps two jobs apart. A service's
/// part of a file name likewise.
#[must_use]
pub fn job_directory(job: &str) -> String {
    let slug = slug(job);
    if slug == job {
        return slug;
    }
    // FNV-1a: two jobs of one run are not to meet, nothing more.
    let hash = job.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{}-{hash:08x}", slug.trim_end_matches('-'))
}

/// Letters, digits, `_`, `.` and `-`, not beginning with a dot, at most [`SLUG_LIMIT`] bytes.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars() {
        if slug.len() == SLUG_LIMIT {
            break;
        }
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => slug.push(character),
            '.' if !slug.is_empty() => slug.push('.'),
            _ if slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug
}

/// Removes all but the `kept` newest runs. Best effort: what cannot be removed now is tried again by the next run.
fn prune(runs: &Path, kept: usize) {
    let Ok(entries) = std::fs::read_dir(runs) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let surplus = paths.len().saturating_sub(kept);
    for path in &paths[..surplus] {
        if is_live(path) {
            continue;
        }
        if let Err(error) = std::fs::remove_dir_all(path) {
            tracing::debug!(path = %path.display(), %error, "an old run stays");
        }
    }
}

/// Whether an agent still holds the run's lock.
fn is_live(run: &Path) -> bool {
    File::open(run.join("lock"))
        .is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::{KEPT_RUNS, RunDirectory, slug};
    use crate::log::StepId;

    #[test]
    fn names_become_harmless_file_names() {
        assert_eq!(slug("make -j4 && make check"), "make-j4-make-check");
        assert_eq!(slug("../../etc/passwd"), "-.-..-etc-passwd");
        assert_eq!(slug(&"x".repeat(300)).len(), 48);
        assert_eq!(slug("größe\n\x1b[31m"), "gr-e-31m");
    }

    #[test]
    fn the_newest_runs_are_kept_and_live_ones_never_removed() {
        let data = tempfile::tempdir().unwrap();
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let live = RunDirectory::create(data.path(), at(0)).unwrap();
        for second in 1..40 {
            RunDirectory::create(data.path(), at(second)).unwrap();
        }
        let mut names: Vec<_> = std::fs::read_dir(data.path().join("runs"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names[0], live.id());
        assert!(names[1].starts_with("19700101T000020Z-"), "{names:?}");
        assert_eq!(names.len(), 1 + KEPT_RUNS);
    }

    #[test]
    fn the_logs_of_an_attempt_are_called_as_the_server_calls_them() {
        let directory = tempfile::tempdir().unwrap();
        let logs = RunDirectory::of_attempt(directory.path(), "7".to_owned()).unwrap();
        let step = StepId {
            job: "build (a, b)".to_owned(),
            step: "make".to_owned(),
            index: 3,
        };
        assert_eq!(logs.log_path(&step), directory.path().join("logs/step-3"));
        let service = logs.service_log_path("build (a, b)", "db_1");
        assert_eq!(service, directory.path().join("logs/service-db_1"));
        assert!(logs.keeps_times());
    }

    #[test]
    fn two_runs_of_the_same_second_have_directories_of_their_own() {
        let data = tempfile::tempdir().unwrap();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let first = RunDirectory::create(data.path(), now).unwrap();
        let second = RunDirectory::create(data.path(), now).unwrap();
        let step = StepId {
            job: "build".to_owned(),
            step: "make".to_owned(),
            index: 0,
        };
        assert_ne!(first.log_path(&step), second.log_path(&step));
        assert!(first.log_path(&step).ends_with("build/0-make.log"));
        assert!(
            first
                .service_log_path("build", "db")
                .ends_with("build/service-db.log")
        );
    }
}
