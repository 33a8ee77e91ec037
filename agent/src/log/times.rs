//! When which bytes of a log came.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::clock::unix_ms;

/// Bytes that come less than this behind others count as come with them, milliseconds: a step that prints a byte at a time is not
/// to have more times than bytes.
const GRAIN: u64 = 10;

/// A file of lines `OFFSET UNIX_MS`: from this offset on bytes came at this time.
#[derive(Debug)]
pub(super) struct Times {
    file: File,
    last: Option<u64>,
}

impl Times {
    /// Where the times of a log are.
    pub(super) fn path(log: &Path) -> PathBuf {
        let mut path = log.as_os_str().to_owned();
        path.push(".times");
        path.into()
    }

    /// Opens the file beside a log, or makes it.
    pub(super) fn open(log: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(Self::path(log))?;
        Ok(Self { file, last: None })
    }

    /// Notes that bytes come now.
    pub(super) fn note(&mut self, offset: u64) -> io::Result<()> {
        self.note_at(offset, unix_ms())
    }

    fn note_at(&mut self, offset: u64, now: u64) -> io::Result<()> {
        // A clock that was set back is no reason to be silent.
        let is_news = self
            .last
            .is_none_or(|last| now < last || now - last >= GRAIN);
        if !is_news {
            return Ok(());
        }
        self.last = Some(now);
        self.file.write_all(format!("{offset} {now}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn bytes_that_come_together_have_one_time() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("step-0");
        let mut times = Times::open(&log).unwrap();
        for (offset, now) in [(0, 1000), (5, 1009), (9, 1010), (12, 1011), (20, 500)] {
            times.note_at(offset, now).unwrap();
        }
        drop(times);
        // Another attempt of the same step.
        Times::open(&log).unwrap().note_at(30, 2000).unwrap();
        let text = std::fs::read_to_string(directory.path().join("step-0.times")).unwrap();
        assert_eq!(text, "0 1000\n9 1010\n20 500\n30 2000\n");
    }
}
