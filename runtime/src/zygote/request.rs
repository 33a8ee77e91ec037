//! A request to the zygote and its answers, each request with a socket of its own for these.

use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::io::Interest;

use super::Zygote;
use super::wire::{Reply, Request};
use crate::cgroup::GroupError;
use crate::container::{StartError, Streams};
use crate::message::{Connection, send};
use crate::sys::watch;

/// Why a request to the zygote failed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It could not be sent, or its answer not received.
    #[error("{operation}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The container's control group cannot be made, or does not take a limit.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The zygote or the container's first process refused it.
    #[error(transparent)]
    Refused(#[from] StartError),
}

impl RequestError {
    /// Of a start in a container that was built ahead: that one could not be told, so nothing has run, and another would do.
    #[must_use]
    pub const fn is_of_the_spare(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}

impl Zygote {
    /// Waits until the zygote has read some of what it was sent.
    async fn writable(&self) -> io::Result<()> {
        let socket = watch(self.socket.try_clone()?, Interest::WRITABLE)?;
        socket.writable().await.map(drop)
    }

    pub(super) async fn done(
        &self,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<serde_json::Value, RequestError> {
        let replies = self.request(request, fds).await?;
        match next(&replies).await? {
            (Reply::Done(value), _) => Ok(value),
            (Reply::Failed(error), _) => Err(error.into()),
            (other, _) => Err(out_of_turn(&format!("{other:?} came out of turn"))),
        }
    }

    /// Sends a request with a socket of its own for the replies.
    pub(super) async fn request(
        &self,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Connection, RequestError> {
        let (ours, theirs) = reply_sockets().map_err(not_sent)?;
        let mut all = vec![theirs.as_fd()];
        all.extend_from_slice(fds);
        self.send(request, &all).await?;
        Connection::new(ours).map_err(not_sent)
    }

    /// Sends a request whose first descriptor is where the replies go.
    pub(super) async fn send(
        &self,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), RequestError> {
        loop {
            match send(&self.socket, request, fds) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.writable().await.map_err(not_sent)?;
                }
                result => return result.map_err(not_sent),
            }
        }
    }
}

pub(super) const fn not_sent(source: io::Error) -> RequestError {
    RequestError::Io {
        operation: "send a request to the zygote",
        source,
    }
}

/// Sends a request to a helper, which has no other one to do.
pub(super) fn request_on(
    socket: &OwnedFd,
    request: &Request,
    fds: &[BorrowedFd<'_>],
) -> Result<Connection, RequestError> {
    let (ours, theirs) = reply_sockets().map_err(not_sent)?;
    let mut all = vec![theirs.as_fd()];
    all.extend_from_slice(fds);
    send(socket, request, &all).map_err(not_sent)?;
    Connection::new(ours).map_err(not_sent)
}

pub(super) fn reply_sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
    Ok(pair?)
}

pub(super) async fn next(replies: &Connection) -> Result<(Reply, Vec<OwnedFd>), RequestError> {
    let reply = replies.receive().await.map_err(|source| RequestError::Io {
        operation: "receive the zygote's answer",
        source,
    })?;
    reply.ok_or_else(|| out_of_turn("it closed the connection without an answer"))
}

pub(super) fn out_of_turn(reason: &str) -> RequestError {
    RequestError::Refused(StartError::ZygoteGone {
        reason: reason.to_owned(),
    })
}

/// These descriptors and then those of the streams.
pub(super) fn with_streams<'a>(
    mut fds: Vec<BorrowedFd<'a>>,
    streams: &'a Streams,
) -> Vec<BorrowedFd<'a>> {
    if let Streams::Files(files) = streams {
        fds.extend(files.iter().map(AsFd::as_fd));
    }
    fds
}

pub(crate) fn memory_file(spec: &impl serde::Serialize) -> io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create("container", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(spec)?)?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file.into())
}
