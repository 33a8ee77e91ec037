//! The agent's end of a container.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Signal, pidfd_send_signal};
use tokio::io::Interest;

use super::{Exit, ExitStatus, StartError, Usage};
use crate::sys::watch;
use crate::zygote::wire::{Replies, Reply};

/// Why the end of a container could not be learnt.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The connection or the process descriptor cannot be waited on.
    #[error("wait for the container")]
    Io {
        /// Why.
        #[from]
        source: io::Error,
    },
    /// Its first process said something that makes no sense here.
    #[error("wait for the container: {source}")]
    Container {
        /// What it said.
        source: StartError,
    },
}

/// A container whose command runs. Dropping it kills everything in it.
#[derive(Debug)]
pub struct Container {
    init: OwnedFd,
    replies: Replies,
    /// It ended before we knew that it had started.
    ended: Option<Exit>,
}

impl Container {
    pub(crate) const fn new(init: OwnedFd, replies: Replies, ended: Option<Exit>) -> Self {
        Self {
            init,
            replies,
            ended,
        }
    }

    /// Waits for the command to end. When this returns, no process of the container is left, whatever it was: the
    /// command's death ends its PID namespace. May be called again after it was cancelled.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub async fn wait(&mut self) -> Result<Exit, WaitError> {
        if let Some(exit) = self.ended.take() {
            return Ok(exit);
        }
        match self.replies.next().await? {
            Some(Reply::Exited(exit)) => Ok(exit),
            Some(Reply::Failed(source)) => Err(WaitError::Container { source }),
            Some(other) => Err(WaitError::Container {
                source: StartError::ZygoteGone {
                    reason: format!("{other:?} came out of turn"),
                },
            }),
            // Its init was killed. Descriptors are closed before the namespace is torn down; a process descriptor
            // becomes readable after.
            None => {
                let init = watch(self.init.try_clone()?, Interest::READABLE)?;
                drop(init.readable().await?);
                Ok(Exit {
                    status: ExitStatus::Signal(libc::SIGKILL),
                    usage: Usage::default(),
                })
            }
        }
    }

    /// Asks the command's process group to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends everything in the container at once.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// A container that is gone needs no signal.
    fn signal(&self, signal: Signal) {
        if let Err(errno) = pidfd_send_signal(&self.init, signal)
            && errno != rustix::io::Errno::SRCH
        {
            tracing::warn!(%errno, ?signal, "cannot signal the container");
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.init, Signal::KILL);
    }
}
