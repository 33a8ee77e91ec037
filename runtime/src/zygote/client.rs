//! The agent's handle of the zygote: asynchronous, shared by every job.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, pidfd_send_signal};
use tokio::io::Interest;

use super::instance::{Instance, Stale};
use super::wire::{HeldSource, Job, Replies, Reply, Request, send};
use crate::container::{Container, ContainerSpec, Network, StartError};
use crate::sys::{MountAttr, mount_setattr, watch};
use crate::userns::{IdMap, Rung};

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
    /// The zygote or the container's first process refused it.
    #[error(transparent)]
    Refused(#[from] StartError),
}

/// Why a directory of the machine could not be held for a job.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The directory itself.
    #[error(
        "mount {path} with the containers' ids (its file system may not support id-mapped mounts)"
    )]
    Source {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The zygote.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// A running zygote. Dropping it ends it and everything it started.
#[derive(Debug)]
pub struct Zygote {
    /// Non-blocking.
    pub(super) socket: OwnedFd,
    pub(super) process: OwnedFd,
    pub(super) user_namespace: OwnedFd,
    pub(super) map: IdMap,
    pub(super) directory: PathBuf,
    pub(super) instance: Instance,
    pub(super) stale: Mutex<Vec<Stale>>,
    pub(super) serial: AtomicU64,
}

/// What becomes of a directory of the machine that is held for containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Mounted as it is; the caller's files belong to container root.
    Bind,
    /// Mounted as any other user of the machine sees it: what only the caller may read is not readable.
    Shared,
    /// Under an overlay: what is written to it is kept aside until it is released.
    Overlay,
}

impl Zygote {
    /// The ids containers have.
    #[must_use]
    pub const fn map(&self) -> &IdMap {
        &self.map
    }

    /// The directory whose `layers/` and `scratch/` belong to those ids.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts a container; returns when its command has been executed. The streams become its descriptors 0 to 2.
    ///
    /// # Errors
    /// See [`RequestError`]; a command that cannot be executed is [`RequestError::Refused`].
    pub async fn start(
        &self,
        spec: &ContainerSpec,
        [input, output, error]: [OwnedFd; 3],
    ) -> Result<Container, RequestError> {
        let spec_file = memory_file(spec).map_err(|source| RequestError::Io {
            operation: "pass the container's specification",
            source,
        })?;
        let request = Request::Start {
            private_network: spec.network == Network::None,
            writable: spec.rootfs.writable,
            upper: self.upper(&format!(
                "root.{}",
                self.serial.fetch_add(1, Ordering::Relaxed)
            )),
        };
        let fds = [
            spec_file.as_fd(),
            input.as_fd(),
            output.as_fd(),
            error.as_fd(),
        ];
        let mut replies = self.request(&request, &fds).await?;
        drop((spec_file, input, output, error));
        // The zygote tells that it has cloned, the container that it runs and that it is over: two senders, in any order.
        let (mut init, mut runs, mut exit) = (None, false, None);
        loop {
            match next(&mut replies).await? {
                (Reply::Cloned, fds) => init = fds.into_iter().next(),
                (Reply::Running, _) => runs = true,
                (Reply::Exited(early), _) => exit = Some(early),
                (Reply::Failed(error), _) => return Err(error.into()),
                (other @ Reply::Done(_), _) => {
                    return Err(out_of_turn(&format!("{other:?} came out of turn")));
                }
            }
            if let Some(init) = init.take_if(|_| runs) {
                return Ok(Container::new(init, replies, exit));
            }
        }
    }

    /// Holds a directory of the machine for containers to mount by `name`, which must be a file name not in use. In it
    /// the caller's files belong to container root.
    ///
    /// # Errors
    /// See [`HoldError`].
    pub async fn hold(&self, name: &str, path: &Path, hold: Hold) -> Result<(), HoldError> {
        let tree = self
            .as_container_root(path, hold)
            .map_err(|source| HoldError::Source {
                path: path.to_owned(),
                source,
            })?;
        let request = Request::Hold {
            name: name.to_owned(),
            source: match tree {
                Some(_) => HeldSource::Tree,
                None => HeldSource::Path(path.to_owned()),
            },
            upper: match hold {
                Hold::Bind | Hold::Shared => None,
                Hold::Overlay => Some(self.upper(name)),
            },
        };
        let fds: Vec<_> = tree.iter().map(AsFd::as_fd).collect();
        self.done(&request, &fds).await?;
        Ok(())
    }

    /// Lets go of what [`Zygote::hold`] holds, and of what an overlay has kept aside.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn release(&self, name: &str) -> Result<(), RequestError> {
        let request = Request::Release {
            name: name.to_owned(),
        };
        self.done(&request, &[]).await?;
        let path = Path::new("scratch").join(self.upper(name));
        self.work(Job::Remove { path }, &[]).await.map(drop)
    }

    /// Removes what agents that were killed have left in `scratch/`.
    ///
    /// # Errors
    /// See [`RequestError`]; what could not be removed stays for the next agent.
    pub async fn sweep(&self) -> Result<(), RequestError> {
        let stale = match self.stale.lock() {
            Ok(mut stale) => std::mem::take(&mut *stale),
            Err(_) => return Ok(()),
        };
        let mut first_failure = Ok(());
        for one in stale {
            let path = one.path.clone();
            let removed = self.work(Job::Remove { path }, &[]).await;
            first_failure = first_failure.and(removed.map(drop));
        }
        first_failure
    }

    /// Ends the zygote and everything it started, and tidies the disk. Dropping it does the same; this does not wait
    /// for the last one who shares it.
    pub fn end(&self) {
        // The end of its socket would do as well, a little later.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
        self.instance.finish();
    }

    /// Keeps what is in `scratch/` when the zygote ends, for inspection; returns where.
    pub fn keep(&self) -> PathBuf {
        self.instance.keep()
    }

    /// Where an overlay keeps what is written to it, below `scratch/`.
    fn upper(&self, name: &str) -> PathBuf {
        Path::new(&self.instance.name).join(name)
    }

    /// Has a process inside the user namespace work on its files.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn work(
        &self,
        job: Job,
        fds: &[BorrowedFd<'_>],
    ) -> Result<serde_json::Value, RequestError> {
        self.done(&Request::Work(job), fds).await
    }

    /// For an agent that is root: the directory through the containers' id map, so that what belongs to the caller
    /// belongs to container root and the other way round. A plain user's map says the same without a mount.
    fn as_container_root(&self, path: &Path, hold: Hold) -> io::Result<Option<OwnedFd>> {
        if self.map.rung != Rung::Root || hold == Hold::Shared {
            return Ok(None);
        }
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, path, flags)?;
        let attr = MountAttr {
            id_map: Some(self.user_namespace.as_fd()),
            ..MountAttr::default()
        };
        match mount_setattr(&tree, attr) {
            // A file system that cannot be id-mapped (NFS, FUSE, an overlay) is seen as others see it; an overlay of ours
            // on it is writable all the same where modes allow.
            Err(Errno::INVAL) if hold == Hold::Overlay => {}
            result => result?,
        }
        Ok(Some(tree))
    }

    /// Waits until the zygote has read some of what it was sent.
    async fn writable(&self) -> io::Result<()> {
        let socket = watch(self.socket.try_clone()?, Interest::WRITABLE)?;
        socket.writable().await.map(drop)
    }

    async fn done(
        &self,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<serde_json::Value, RequestError> {
        let mut replies = self.request(request, fds).await?;
        match next(&mut replies).await? {
            (Reply::Done(value), _) => Ok(value),
            (Reply::Failed(error), _) => Err(error.into()),
            (other, _) => Err(out_of_turn(&format!("{other:?} came out of turn"))),
        }
    }

    /// Sends a request with a socket of its own for the replies.
    async fn request(
        &self,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Replies, RequestError> {
        let failed = |source| RequestError::Io {
            operation: "send a request to the zygote",
            source,
        };
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|errno| failed(errno.into()))?;
        let mut all = vec![theirs.as_fd()];
        all.extend_from_slice(fds);
        loop {
            match send(&self.socket, request, &all) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.writable().await.map_err(failed)?;
                }
                result => break result.map_err(failed)?,
            }
        }
        Replies::new(ours).map_err(failed)
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        self.end();
    }
}

async fn next(replies: &mut Replies) -> Result<(Reply, Vec<OwnedFd>), RequestError> {
    let reply = replies
        .next_with_fds()
        .await
        .map_err(|source| RequestError::Io {
            operation: "receive the zygote's answer",
            source,
        })?;
    reply.ok_or_else(|| out_of_turn("it closed the connection without an answer"))
}

fn out_of_turn(reason: &str) -> RequestError {
    RequestError::Refused(StartError::ZygoteGone {
        reason: reason.to_owned(),
    })
}

fn memory_file(spec: &ContainerSpec) -> io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create("container", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(spec)?)?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file.into())
}
