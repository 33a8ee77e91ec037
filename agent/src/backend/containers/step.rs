use std::fs::File;
use std::os::fd::OwnedFd;

use protocol::Usage;
use runtime::container::{Container, Exceeded as Limit, ExitStatus as Status};
use runtime::network::Interface;

use crate::backend::{BackendError, Exceeded, Exchange, Exit, ExitStatus, RunningStep};
use crate::ports::{Opened, PublishedPort};

/// A started step or service: its container, and its place in the job's network, which is another's after that.
#[derive(Debug)]
pub struct Step {
    container: Container,
    interface: Option<Interface>,
    ports: Opened,
    /// Once it is known.
    exit: Option<Exit>,
}

impl Step {
    pub(super) fn new(container: Container, interface: Option<Interface>) -> Self {
        Self {
            container,
            interface,
            ports: Opened::default(),
            exit: None,
        }
    }

    /// The same with ports of the machine that lead to it.
    pub(super) fn at(self, ports: Opened) -> Self {
        Self { ports, ..self }
    }

    async fn exited(&mut self) -> Result<Exit, BackendError> {
        let exit = self
            .container
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
}

impl RunningStep for Step {
    fn take_exchange(&mut self) -> Option<Exchange> {
        let files: [OwnedFd; 3] = self.container.take_exchange().try_into().ok()?;
        let [output, env, mask] = files.map(File::from);
        Some(Exchange { output, env, mask })
    }

    fn ports(&self) -> &[PublishedPort] {
        self.ports.ports()
    }

    async fn wait(&mut self) -> Result<Exit, BackendError> {
        let exit = match self.exit {
            Some(exit) => exit,
            None => {
                let exit = self.exited().await?;
                *self.exit.insert(exit)
            }
        };
        if let Some(interface) = &self.interface {
            interface.settle().await;
        }
        // Whoever hears of the end may want to have the ports again.
        self.ports.close().await;
        Ok(exit)
    }

    fn terminate(&mut self) -> Result<(), BackendError> {
        self.container.terminate();
        Ok(())
    }

    fn kill(&mut self) -> Result<(), BackendError> {
        self.container.kill();
        Ok(())
    }
}
