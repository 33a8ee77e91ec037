use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{receive, send};
use crate::sys::watch;

/// One end of a socket, on a tokio runtime.
#[derive(Debug)]
pub struct Connection {
    socket: AsyncFd<OwnedFd>,
}

impl Connection {
    /// Takes a SEQPACKET socket.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        watch(socket, Interest::READABLE | Interest::WRITABLE).map(|socket| Self { socket })
    }

    /// The next message and its descriptors; `None` when there will be none. Nothing is lost when it is cancelled.
    ///
    /// # Errors
    /// When it cannot be received, or is not of this type.
    pub async fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        loop {
            let mut ready = self.socket.readable().await?;
            if let Ok(result) = ready.try_io(|socket| receive(socket.get_ref())) {
                return result;
            }
        }
    }

    /// Sends a message, waiting until there is room for it.
    ///
    /// # Errors
    /// When nobody listens any more, or it is too long.
    pub async fn send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        loop {
            let mut ready = self.socket.writable().await?;
            if let Ok(result) = ready.try_io(|socket| send(socket.get_ref(), message, fds)) {
                return result;
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}
