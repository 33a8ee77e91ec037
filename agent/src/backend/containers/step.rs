use std::fs::File;
use std::os::fd::OwnedFd;

use protocol::Usage;
use runtime::container::{Container, Exceeded as Limit, ExitStatus as Status};

use crate::backend::{BackendError, Exceeded, Exchange, Exit, ExitStatus, RunningStep};

/// A started step: its container.
#[derive(Debug)]
pub struct Step(Container);

impl Step {
    pub(super) const fn new(container: Container) -> Self {
        Self(container)
    }
}

impl RunningStep for Step {
    fn take_exchange(&mut self) -> Option<Exchange> {
        let files: [OwnedFd; 3] = self.0.take_exchange().try_into().ok()?;
        let [output, env, mask] = files.map(File::from);
        Some(Exchange { output, env, mask })
    }

    async fn wait(&mut self) -> Result<Exit, BackendError> {
        let exit = self
            .0
            .wait()
            .await
            .map_err(|error| BackendError::new("wait for the step", error))?;
        let micros =
            |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Ok(Exit {
            status: match exit.status {
                Status::Code(code) => ExitStatus::Code(code),
                Status::Signal(signal) => ExitStatus::Signal(signal),
            },
            usage: exit.usage.map(|usage| Usage {
                user_us: micros(usage.user),
                system_us: micros(usage.system),
                max_rss_bytes: usage.max_rss,
                peak_memory_bytes: usage.peak_memory,
                peak_pids: usage.peak_pids,
                read_bytes: usage.read,
                written_bytes: usage.written,
            }),
            exceeded: exit.exceeded.map(|limit| match limit {
                Limit::Memory => Exceeded::Memory,
                Limit::Pids => Exceeded::Pids,
                Limit::Disk => Exceeded::Disk,
            }),
        })
    }

    fn terminate(&mut self) -> Result<(), BackendError> {
        self.0.terminate();
        Ok(())
    }

    fn kill(&mut self) -> Result<(), BackendError> {
        self.0.kill();
        Ok(())
    }
}
