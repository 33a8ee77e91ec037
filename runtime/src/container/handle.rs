//! The agent's end of a container.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::Signal;
use tokio::io::Interest;

use super::memory_watch::MemoryWatch;
use super::namespaces::Namespaces;
use super::{Exit, ExitStatus, Load, Phase, Resources, StartError, Trace, id_of, processes};
use crate::cgroup::{Entry, Group, Lease};
use crate::message::Connection;
use crate::sys::{signal_process, watch};
use crate::zygote::wire::{Order, Reply};
use crate::zygote::{RequestError, too_low};

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
    handle: ContainerHandle,
    replies: Connection,
    exchange: Vec<OwnedFd>,
    terminal: Option<OwnedFd>,
    /// It ended before we knew that it had started.
    ended: Option<Exit>,
    trace: Trace,
    /// The control group it is in.
    lease: Option<Lease>,
    /// Looks at its memory, which no control group holds.
    watch: Option<MemoryWatch>,
}

/// What it takes to send signals to a container, or a process into it. Outlives the container, and does not hold it.
#[derive(Debug)]
pub struct ContainerHandle {
    pub(crate) init: OwnedFd,
    /// Which it has.
    pub(crate) namespaces: Namespaces,
    /// The control group it is in.
    pub(crate) group: Option<Membership>,
}

/// A container's control group, for what is to be in it too and for who wants to know what it uses.
#[derive(Debug)]
pub(crate) struct Membership {
    /// Its files.
    pub(crate) group: Group,
    /// The way in.
    pub(crate) way: Way,
}

/// How a further process gets into a control group.
#[derive(Debug)]
pub(crate) enum Way {
    /// Version 2: cloned into this directory.
    Directory(OwnedFd),
    /// Version 1: cloned by the helper in it, which takes requests here.
    Helper(OwnedFd),
}

impl ContainerHandle {
    /// Another one for the same container.
    ///
    /// # Errors
    /// When descriptors have run out.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            init: self.init.try_clone()?,
            namespaces: self.namespaces,
            group: self.group.as_ref().map(Membership::try_clone).transpose()?,
        })
    }

    /// The id of the container's first process, in the PID namespace of this process's `/proc`; `None` when it is gone.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn pid(&self) -> io::Result<Option<i32>> {
        match id_of(&self.init) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            result => Ok(i32::try_from(result?).ok()),
        }
    }

    /// Waits until the container's first process has exited, with the code of its command: a little after it has told how
    /// that ended.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn gone(&self) -> io::Result<()> {
        let init = watch(self.init.try_clone()?, Interest::READABLE)?;
        init.readable().await.map(drop)
    }

    /// Sends a signal to the command's process group; SIGKILL ends everything in the container. A container that is gone
    /// needs none.
    ///
    /// # Errors
    /// `InvalidInput` for a number that is no signal.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        match signal_process(&self.init, number) {
            Err(Errno::SRCH) => Ok(()),
            result => Ok(result?),
        }
    }

    /// What the container uses now: as its control group counts, or, of what that does not count, as its processes say.
    ///
    /// # Errors
    /// `NotFound` when it is gone.
    pub fn load(&self) -> io::Result<Load> {
        let counted = self.group.as_ref().and_then(|member| member.group.load());
        match counted {
            Some(load) => id_of(&self.init).map(|_| load),
            None => processes::load(&self.init),
        }
    }
}

impl Membership {
    /// Of a container that has just been started in what is leased.
    pub(crate) fn of(lease: &Lease) -> io::Result<Option<Self>> {
        let Some((group, entry)) = lease.group().zip(lease.entry()) else {
            return Ok(None);
        };
        let way = match entry {
            Entry::Directory(directory) => Way::Directory(directory.try_clone()?),
            Entry::Helper(helper) => Way::Helper(helper.socket.try_clone()?),
        };
        let group = group.clone();
        Ok(Some(Self { group, way }))
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            group: self.group.clone(),
            way: match &self.way {
                Way::Directory(directory) => Way::Directory(directory.try_clone()?),
                Way::Helper(socket) => Way::Helper(socket.try_clone()?),
            },
        })
    }
}

impl Container {
    /// `files` are those of the exchange and, with a terminal, its outer end.
    pub(crate) fn new(
        handle: ContainerHandle,
        replies: Connection,
        mut files: Vec<OwnedFd>,
        has_terminal: bool,
        ended: Option<Exit>,
        trace: Trace,
        lease: Option<Lease>,
    ) -> Self {
        let terminal = if has_terminal { files.pop() } else { None };
        Self {
            handle,
            replies,
            exchange: files,
            terminal,
            ended,
            trace,
            lease,
            watch: None,
        }
    }

    /// The same with somebody who looks at its memory whenever it is waited for.
    pub(crate) fn watched(mut self, watch: Option<MemoryWatch>) -> Self {
        self.watch = watch;
        self
    }

    /// Where the time of its start went.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// For signals and further processes.
    #[must_use]
    pub const fn handle(&self) -> &ContainerHandle {
        &self.handle
    }

    /// The outer end of the command's terminal, if it has one and it was not taken before.
    pub const fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// The files of the specification's `exchange`, in its order; what is in them stays readable when the container is
    /// gone. Empty when they were taken before.
    pub fn take_exchange(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.exchange)
    }

    /// Waits for the command to end. When this returns, no process of the container is left, whatever it was: the
    /// command's death ends its PID namespace. May be called again after it was cancelled.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub async fn wait(&mut self) -> Result<Exit, WaitError> {
        let exit = loop {
            let over = ended(&mut self.ended, &self.replies, &self.handle);
            let Some(watch) = &mut self.watch else {
                break over.await?;
            };
            tokio::select! {
                exit = over => break watch.complete(exit?),
                () = watch.exceeded(&self.handle.init) => self.kill(),
            }
        };
        let group = self.lease.as_ref().and_then(Lease::group);
        Ok(group
            .map(Group::read)
            .map_or(exit, |reading| reading.complete(exit)))
    }

    /// The limit that kept its command from starting, if one did.
    pub(super) fn too_low(&self, resources: &Resources) -> Option<RequestError> {
        too_low(resources, self.lease.as_ref())
    }

    /// Forgets how it was made: its start begins with this.
    pub(super) fn restart(&mut self, trace: Trace) {
        self.trace = trace;
    }

    /// Has a container that was only created start its command.
    pub(super) async fn begin(
        &mut self,
        order: &Order,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), RequestError> {
        let failed = |source| RequestError::Io {
            operation: "ask the container to begin",
            source,
        };
        self.replies.send(order, fds).await.map_err(failed)?;
        // From here on the command may run, whatever is heard of it.
        let unheard = |source: io::Error| StartError::ZygoteGone {
            reason: source.to_string(),
        };
        match self.replies.receive::<Reply>().await.map_err(unheard)? {
            Some((Reply::Running(trace), files)) => {
                self.trace.merge(trace);
                self.trace.mark(Phase::Told);
                self.exchange.extend(files);
                Ok(())
            }
            Some((Reply::Failed(error), _)) => Err(error.into()),
            Some((Reply::Exited(_), _)) | None => Err(StartError::ContainerGone.into()),
            Some((other, _)) => Err(StartError::ZygoteGone {
                reason: format!("{other:?} came out of turn"),
            }
            .into()),
        }
    }

    /// Asks the command's process group to end (SIGTERM).
    pub fn terminate(&self) {
        self.send(Signal::TERM);
    }

    /// Ends everything in the container at once.
    pub fn kill(&self) {
        self.send(Signal::KILL);
    }

    fn send(&self, signal: Signal) {
        if let Err(error) = self.handle.signal(signal.as_raw()) {
            tracing::warn!(%error, ?signal, "cannot signal the container");
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.handle.signal(Signal::KILL.as_raw());
    }
}

/// Waits for the news of a container's end, unless they have come already.
async fn ended(
    early: &mut Option<Exit>,
    replies: &Connection,
    handle: &ContainerHandle,
) -> Result<Exit, WaitError> {
    if let Some(exit) = early.take() {
        return Ok(exit);
    }
    match replies.receive::<Reply>().await? {
        Some((Reply::Exited(exit), _)) => Ok(exit),
        Some((Reply::Failed(source), _)) => Err(WaitError::Container { source }),
        Some((other, _)) => Err(WaitError::Container {
            source: StartError::ZygoteGone {
                reason: format!("{other:?} came out of turn"),
            },
        }),
        // Its init was killed. Descriptors are closed before the namespace is torn down; a process descriptor
        // becomes readable after.
        None => {
            handle.gone().await?;
            Ok(Exit {
                status: ExitStatus::Signal(libc::SIGKILL),
                usage: None,
                exceeded: None,
            })
        }
    }
}
