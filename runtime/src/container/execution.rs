//! The end of a further process in a running container that whoever asked for it holds.

use std::io;
use std::os::fd::OwnedFd;

use super::{Exit, StartError, WaitError};
use crate::message::Connection;
use crate::zygote::RequestError;
use crate::zygote::wire::{Order, Reply};

/// A process in a running container. Dropping it asks the process to end, and kills it soon after.
#[derive(Debug)]
pub struct Execution {
    connection: Connection,
    terminal: Option<OwnedFd>,
}

impl Execution {
    /// Waits until the process that was asked for on this connection runs.
    ///
    /// # Errors
    /// When it could not be started.
    pub async fn begin(connection: Connection) -> Result<Self, RequestError> {
        let answer = connection.receive::<Reply>().await;
        let answer = answer.map_err(|source| RequestError::Io {
            operation: "receive the container's answer",
            source,
        })?;
        let error = match answer {
            Some((Reply::Running(_), fds)) => {
                return Ok(Self {
                    connection,
                    terminal: fds.into_iter().next(),
                });
            }
            Some((Reply::Failed(error), _)) => error,
            Some((other, _)) => StartError::ZygoteGone {
                reason: format!("{other:?} came out of turn"),
            },
            None => StartError::ContainerGone,
        };
        Err(error.into())
    }

    /// Tells whoever asked on this connection why there will be no process.
    ///
    /// # Errors
    /// When nobody is there to be told.
    pub async fn refuse(connection: &Connection, reason: StartError) -> io::Result<()> {
        connection.send(&Reply::Failed(reason), &[]).await
    }

    /// The outer end of its terminal, if it has one and it was not taken before.
    pub const fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// Waits for its end. May be called again after it was cancelled.
    ///
    /// # Errors
    /// When the container's supervisor is gone, and with it the process.
    pub async fn wait(&self) -> Result<Exit, WaitError> {
        let source = match self.connection.receive::<Reply>().await? {
            Some((Reply::Exited(exit), _)) => return Ok(exit),
            Some((Reply::Failed(source), _)) => source,
            Some((other, _)) => StartError::ZygoteGone {
                reason: format!("{other:?} came out of turn"),
            },
            None => StartError::ContainerGone,
        };
        Err(WaitError::Container { source })
    }

    /// Sends a signal to its process group.
    ///
    /// # Errors
    /// When nobody is there to pass it on.
    pub async fn signal(&self, number: i32) -> io::Result<()> {
        self.connection.send(&Order::Signal(number), &[]).await
    }
}
