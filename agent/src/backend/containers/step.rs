use protocol::Usage;
use runtime::container::{Container, ExitStatus as Status};

use crate::backend::{BackendError, Exit, ExitStatus, RunningStep};

/// A started step: its container.
#[derive(Debug)]
pub struct Step(Container);

impl Step {
    pub(super) const fn new(container: Container) -> Self {
        Self(container)
    }
}

impl RunningStep for Step {
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
            usage: Some(Usage {
                user_us: micros(exit.usage.user),
                system_us: micros(exit.usage.system),
                max_rss_bytes: exit.usage.max_rss,
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
