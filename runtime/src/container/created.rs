use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use super::{Container, ContainerHandle, Exit, Late, Resources, Trace, WaitError};
use crate::zygote::wire::Order;
use crate::zygote::{RequestError, memory_file};

/// A container of which only the command is missing. Dropping it kills everything in it.
#[derive(Debug)]
pub struct Created {
    container: Container,
}

impl Created {
    pub(crate) const fn new(container: Container) -> Self {
        Self { container }
    }

    /// For signals: one that would end a program by default ends the container.
    #[must_use]
    pub const fn handle(&self) -> &ContainerHandle {
        self.container.handle()
    }

    /// The outer end of the terminal that the command will have, if it is to have one and it was not taken before.
    pub const fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.container.take_terminal()
    }

    /// Waits until the container ends without ever having had a command. May be called again after it was cancelled.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub async fn wait(&mut self) -> Result<Exit, WaitError> {
        self.container.wait().await
    }

    /// Starts the command; returns when it has been executed.
    ///
    /// # Errors
    /// See [`RequestError`]; a command that cannot be executed is [`RequestError::Refused`]. The container is over then.
    pub async fn start(mut self) -> Result<Container, RequestError> {
        self.container.begin(&Order::Begin, &[]).await?;
        Ok(self.container)
    }

    /// Starts a command that was not known before.
    pub(super) async fn start_late(
        mut self,
        late: &Late,
        resources: &Resources,
        streams: [BorrowedFd<'_>; 3],
    ) -> Result<Container, RequestError> {
        let asked = Trace::asked();
        let file = memory_file(late).map_err(|source| RequestError::Io {
            operation: "pass the command",
            source,
        })?;
        let [input, output, error] = streams;
        let fds = [file.as_fd(), input, output, error];
        self.container.restart(asked);
        match self.container.begin(&Order::Become, &fds).await {
            Ok(()) => Ok(self.container),
            Err(error) => Err(self.container.too_low(resources).unwrap_or(error)),
        }
    }
}
