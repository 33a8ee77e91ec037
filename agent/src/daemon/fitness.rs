//! Whether this machine is fit to take a job.
//!
//! A machine whose disk is full, or that cannot start containers any more, fails every job that it is given, and faster than
//! any other one works: left alone it would have them all. So it takes a pause, and a longer one each time.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::tell;
use crate::source::Backoff;

/// How often is looked whether there is room again.
const LOOK: Duration = Duration::from_secs(5);

/// The first pause behind a job that failed for the machine, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));

/// What is known of the machine.
#[derive(Debug)]
pub(super) struct Fitness {
    data: PathBuf,
    /// Bytes that must be free.
    least: u64,
    /// There is less: it was told.
    is_full: bool,
    pauses: Backoff,
    until: Option<Instant>,
}

impl Fitness {
    /// `data`: the directory that grows. `least`: bytes.
    pub(super) const fn new(data: PathBuf, least: u64) -> Self {
        Self {
            data,
            least,
            is_full: false,
            pauses: Backoff::new(PAUSES.0, PAUSES.1),
            until: None,
        }
    }

    /// A job has come to its end, or not, and this machine is to blame: why.
    pub(super) fn learn(&mut self, result: &Result<(), String>) {
        match result {
            Ok(()) => {
                self.pauses = Backoff::new(PAUSES.0, PAUSES.1);
                self.until = None;
            }
            Err(_) => {
                let pause = self.pauses.wait();
                self.until = Some(Instant::now() + pause);
                tell(format_args!(
                    "warning: that is this machine's fault: it takes no job for {:.0} s",
                    pause.as_secs_f32().max(1.0)
                ));
            }
        }
    }

    /// How long to wait before it is asked again; `None` when a job may be taken.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        let pause = self
            .until
            .map(|until| until.saturating_duration_since(Instant::now()))
            .filter(|pause| !pause.is_zero());
        if pause.is_some() {
            return pause;
        }
        let is_full = match free(&self.data) {
            Ok(free) => free < self.least,
            Err(error) => {
                tracing::debug!(%error, "nobody knows how full the disk is");
                false
            }
        };
        if is_full != self.is_full {
            self.is_full = is_full;
            let (data, least) = (self.data.display(), self.least >> 20);
            tell(match is_full {
                true => format!(
                    "warning: less than {least} MiB are free in {data}: it takes no jobs until there is room"
                ),
                false => format!("there is room in {data} again"),
            });
        }
        is_full.then_some(LOOK)
    }
}

/// Bytes that a plain user may still write (statvfs(3)).
fn free(path: &Path) -> io::Result<u64> {
    let all = rustix::fs::statvfs(path)?;
    Ok(all.f_bavail.saturating_mul(all.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fitness, PAUSES};

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_are_forgotten_when_a_job_ends_well() {
        let directory = tempfile::tempdir().unwrap();
        let mut fitness = Fitness::new(directory.path().to_owned(), 0);
        assert_eq!(fitness.pause(), None);
        let bad = Err("no space".to_owned());
        let mut last = Duration::ZERO;
        for _ in 0..4 {
            fitness.learn(&bad);
            let pause = fitness.pause().unwrap();
            assert!(pause >= last && pause <= PAUSES.1, "{pause:?} {last:?}");
            last = pause / 2;
            tokio::time::advance(pause).await;
            assert_eq!(fitness.pause(), None);
        }
        fitness.learn(&bad);
        fitness.learn(&Ok(()));
        assert_eq!(fitness.pause(), None);
    }

    #[test]
    fn a_disk_without_room_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let mut fitness = Fitness::new(directory.path().to_owned(), u64::MAX);
        assert!(fitness.pause().is_some() && fitness.is_full);
        fitness.least = 0;
        assert!(fitness.pause().is_none() && !fitness.is_full);
    }
}
