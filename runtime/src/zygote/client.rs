//! The agent's handle of the zygote: asynchronous, shared by every job. What it is asked for is in [`super::hold`],
//! [`super::execute`] and [`super::launch`], how in [`super::request`].

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use rustix::process::{Signal, pidfd_send_signal};

use super::RequestError;
use super::instance::{Instance, Stale};
use super::wire::{Job, Request};
use crate::cgroup::{Groups, Keeper};
use crate::container::Enforcement;
use crate::userns::IdMap;

/// A running zygote. Dropping it ends it and everything it started.
#[derive(Debug)]
pub struct Zygote {
    /// Non-blocking.
    pub(super) socket: OwnedFd,
    pub(super) process: OwnedFd,
    pub(super) user_namespace: OwnedFd,
    pub(super) map: IdMap,
    pub(super) directory: PathBuf,
    pub(super) instance: Instance,
    pub(super) stale: Mutex<Vec<Stale>>,
    pub(super) serial: AtomicU64,
    pub(super) groups: Option<Groups>,
    /// Removes the groups when this process is gone.
    pub(super) _keeper: Option<Keeper>,
    pub(super) enforcement: Enforcement,
}

impl Zygote {
    /// The ids containers have.
    #[must_use]
    pub const fn map(&self) -> &IdMap {
        &self.map
    }

    /// The directory whose `layers/` and `scratch/` belong to those ids.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How limits of containers are held here.
    #[must_use]
    pub const fn enforcement(&self) -> Enforcement {
        self.enforcement
    }

    /// What containers and overlays can still write to the disk, bytes.
    ///
    /// # Errors
    /// Those of statvfs(3).
    pub fn room(&self) -> io::Result<u64> {
        let found = rustix::fs::statvfs(self.directory.join("scratch"))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// Removes what agents that were killed have left in `scratch/`.
    ///
    /// # Errors
    /// See [`RequestError`]; what could not be removed stays for the next agent.
    pub async fn sweep(&self) -> Result<(), RequestError> {
        let stale = match self.stale.lock() {
            Ok(mut stale) => std::mem::take(&mut *stale),
            Err(_) => return Ok(()),
        };
        let mut first_failure = Ok(());
        for one in stale {
            let path = one.path.clone();
            let removed = self.work(Job::Remove { path }, &[]).await;
            first_failure = first_failure.and(removed.map(drop));
        }
        first_failure
    }

    /// Ends the zygote and everything it started, and tidies the disk. Dropping it does the same; this does not wait
    /// for the last one who shares it.
    pub fn end(&self) {
        // The end of its socket would do as well, a little later.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
        self.instance.finish();
    }

    /// Keeps what is in `scratch/` when the zygote ends, for inspection; returns where.
    pub fn keep(&self) -> PathBuf {
        self.instance.keep()
    }

    /// Where an overlay keeps what is written to it, below `scratch/`.
    pub(super) fn upper(&self, name: &str) -> PathBuf {
        Path::new(&self.instance.name).join(name)
    }

    /// Has a process inside the user namespace work on its files.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn work(
        &self,
        job: Job,
        fds: &[BorrowedFd<'_>],
    ) -> Result<serde_json::Value, RequestError> {
        self.done(&Request::Work(job), fds).await
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        self.end();
    }
}
