//! What passes between agent and zygote: a JSON message with descriptors on a SEQPACKET socket, a request one way and,
//! on a socket of the request's own, its replies the other way.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::container::{Exit, StartError, Writable};
use crate::layer::Compression;
use crate::sys::watch;

/// Bound of a message; what can be larger (a container's specification) travels in a memory file.
pub(super) const MAX_MESSAGE: usize = 64 << 10;
/// Bound of the descriptors with it.
const MAX_FDS: usize = 8;

/// What the agent asks for. The first descriptor is always the socket for the replies.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub(super) enum Request {
    /// Start a container. Descriptors: specification, stdin, stdout, stderr.
    Start {
        /// In a network namespace of its own.
        private_network: bool,
        /// Where its upper layer is to be.
        writable: Writable,
        /// A fresh directory below `scratch/` for an upper layer on disk.
        upper: PathBuf,
    },
    /// Mount something and keep it. Descriptors: the tree, when the source is one.
    Hold {
        /// The name containers refer to it by.
        name: String,
        /// What to mount.
        source: HeldSource,
        /// A directory below `scratch/` for an overlay's upper layer; without it the source itself is mounted.
        upper: Option<PathBuf>,
    },
    /// Give up what is held.
    Release {
        /// Its name.
        name: String,
    },
    /// Do something with files in a process of its own. Descriptors: what the job takes.
    Work(Job),
}

/// Where something held comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldSource {
    /// A path of the machine, as the caller's own ids see it.
    Path(PathBuf),
    /// A detached mount that comes with the request.
    Tree,
}

/// Work on files that belong to the user namespace's ids, so that only a process inside can do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Remove a tree below `layers/` or `scratch/`.
    Remove {
        /// Relative.
        path: PathBuf,
    },
    /// Build the lower layer of `image: host` on the stage.
    HostLayer,
    /// Unpack a layer. Descriptor: the stream. Answers `Result<Unpacked, UnpackError>`.
    Unpack {
        /// A new name in `layers/`.
        target: String,
        /// Of the stream.
        compression: Compression,
    },
    /// Remove a layer. Answers `Result<(), UnpackError>`.
    RemoveLayer {
        /// Its name in `layers/`.
        name: String,
    },
}

/// What comes back for a request. For a container: `Cloned` from the zygote and, in no order with it, `Running` and
/// then `Exited`, or `Failed`, from the container's first process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The container's first process exists. Descriptor: its process descriptor.
    Cloned,
    /// The command has been executed.
    Running,
    /// The command is over.
    Exited(Exit),
    /// The request could not be carried out.
    Failed(StartError),
    /// A request that has no other answer was carried out; what a job has to tell.
    Done(serde_json::Value),
}

/// Sends a message whole, or not at all.
pub(crate) fn send(
    socket: impl AsFd,
    message: &impl Serialize,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > MAX_MESSAGE {
        return Err(Errno::MSGSIZE.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL.into());
    }
    loop {
        match sendmsg(
            &socket,
            &[IoSlice::new(&bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Receives a message and its descriptors; `None` when the other end is gone.
pub(super) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        let flags = RecvFlags::CMSG_CLOEXEC;
        match recvmsg(
            &socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            flags,
        ) {
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Ok(None),
            result => break result?,
        }
    };
    if message.bytes == 0 {
        return Ok(None);
    }
    if message
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(Errno::MSGSIZE.into());
    }
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            fds.extend(rights);
        }
    }
    Ok(Some((
        serde_json::from_slice(&bytes[..message.bytes])?,
        fds,
    )))
}

/// The replies to one request.
#[derive(Debug)]
pub(crate) struct Replies {
    socket: AsyncFd<OwnedFd>,
}

impl Replies {
    /// Listens on the agent's end of a request's socket.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        watch(socket, Interest::READABLE).map(|socket| Self { socket })
    }

    /// The next reply; `None` when there will be none. Nothing is lost when it is cancelled.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Reply>> {
        Ok(self.next_with_fds().await?.map(|(reply, _)| reply))
    }

    pub(super) async fn next_with_fds(&mut self) -> io::Result<Option<(Reply, Vec<OwnedFd>)>> {
        loop {
            let mut ready = self.socket.readable().await?;
            if let Ok(result) = ready.try_io(|socket| receive(socket.get_ref())) {
                return result;
            }
        }
    }
}
