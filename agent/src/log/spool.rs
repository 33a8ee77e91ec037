//! The file that holds everything one step wrote.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::times::Times;

/// A step's log on disk, growing at its end.
///
/// Not synced: it has to survive the agent, not a power cut.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: File,
    length: u64,
    /// Bytes it may have.
    most: u64,
    /// When they came, where that is kept.
    times: Option<Times>,
}

/// Why a step's log cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file cannot be made.
    #[error("failed to create the log file {path}: {source}", path = path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be appended to; a full disk, most of the time.
    #[error("failed to write the log file {path}: {source}", path = path.display())]
    Append {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Spool {
    /// Makes the file, readable by its owner only, and the directory it is in. The file must not exist.
    pub fn create(path: &Path, most: u64) -> Result<Self, SpoolError> {
        let create = || {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
        };
        match create() {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                file,
                length: 0,
                most,
                times: None,
            }),
            Err(source) => Err(SpoolError::Create {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Goes on with a file that [`Self::create`] has made: another attempt of the same step.
    pub fn reopen(path: &Path, most: u64) -> Result<Self, SpoolError> {
        let open = || {
            let file = OpenOptions::new().append(true).open(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        match open() {
            Ok((file, length)) => Ok(Self {
                path: path.to_owned(),
                file,
                length,
                most,
                times: None,
            }),
            Err(source) => Err(SpoolError::Create {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// The same, and beside it when which bytes came.
    ///
    /// # Errors
    /// When that file cannot be made.
    pub fn with_times(mut self) -> Result<Self, SpoolError> {
        let times = Times::open(&self.path).map_err(|source| SpoolError::Create {
            path: Times::path(&self.path),
            source,
        })?;
        self.times = Some(times);
        Ok(self)
    }

    /// How many bytes it still takes.
    #[must_use]
    pub const fn room(&self) -> u64 {
        self.most.saturating_sub(self.length)
    }

    /// What it may have at most, bytes.
    #[must_use]
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// Appends `bytes` and returns the offset of the first one.
    pub fn append(&mut self, bytes: &[u8]) -> Result<u64, SpoolError> {
        let times = match &mut self.times {
            Some(times) => times.note(self.length),
            None => Ok(()),
        };
        times
            .and_then(|()| self.file.write_all(bytes))
            .map_err(|source| SpoolError::Append {
                path: self.path.clone(),
                source,
            })?;
        let offset = self.length;
        self.length += bytes.len() as u64;
        Ok(offset)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Spool;

    #[test]
    fn offsets_count_the_bytes_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("job/0-step.log");
        let mut spool = Spool::create(&path, u64::MAX).unwrap();
        assert_eq!(spool.append(b"one\n").unwrap(), 0);
        assert_eq!(spool.append(b"two\n").unwrap(), 4);
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn another_attempt_goes_on_behind_the_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        assert!(Spool::reopen(&path, u64::MAX).is_err());
        Spool::create(&path, u64::MAX)
            .unwrap()
            .append(b"one\n")
            .unwrap();
        assert_eq!(
            Spool::reopen(&path, u64::MAX)
                .unwrap()
                .append(b"two\n")
                .unwrap(),
            4
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_log_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        Spool::create(&path, u64::MAX).unwrap();
        let error = Spool::create(&path, u64::MAX).unwrap_err().to_string();
        assert!(
            error.starts_with("failed to create the log file /"),
            "{error}"
        );
        assert!(error.ends_with("File exists (os error 17)"), "{error}");
    }

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut spool = Spool {
            path: Path::new("/spool/0-build.log").to_owned(),
            file: full,
            length: 0,
            most: u64::MAX,
            times: None,
        };
        insta::assert_snapshot!(
            spool.append(b"x").unwrap_err(),
            @"failed to write the log file /spool/0-build.log: No space left on device (os error 28)"
        );
    }
}
