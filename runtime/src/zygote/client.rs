//! The agent's handle of the zygote: asynchronous, shared by every job.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, pidfd_send_signal};
use tokio::io::Interest;

use super::instance::{Instance, Stale};
use super::wire::{HeldSource, Job, Reply, Request};
use crate::cgroup::{GroupError, Groups, Keeper};
use crate::container::handle::Way;
use crate::container::{ContainerHandle, Enforcement, Process, StartError, Streams};
use crate::message::{Connection, send};
use crate::rootfs::open_without_links;
use crate::security::Defence;
use crate::sys::{MountAttr, Spread, mount_setattr, watch};
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
    pub(super) groups: Option<Groups>,
    /// Removes the groups when this process is gone.
    pub(super) _keeper: Option<Keeper>,
    pub(super) enforcement: Enforcement,
}

/// What becomes of a directory of the machine that is held for containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Mounted as it is; the caller's files belong to container root.
    Bind,
    /// The same with everything mounted below it, where the file systems can be mounted so.
    Tree,
    /// Mounted as it is, owners included, with everything mounted below it.
    Raw,
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

    /// How limits of containers are held here.
    #[must_use]
    pub const fn enforcement(&self) -> Enforcement {
        self.enforcement
    }

    /// Starts a process in a running container, with everything that is taken from the container's command taken from it.
    /// What becomes of it is told on `answers`, the other end of which is for [`crate::container::Execution`].
    ///
    /// # Errors
    /// When the zygote could not be asked; everything else is told on `answers`.
    pub async fn exec(
        &self,
        container: &ContainerHandle,
        process: &Process,
        streams: Streams,
        answers: BorrowedFd<'_>,
    ) -> Result<(), RequestError> {
        let process = memory_file(process).map_err(|source| RequestError::Io {
            operation: "pass the process's specification",
            source,
        })?;
        let way = container.group.as_ref().map(|member| &member.way);
        let request = Request::Exec {
            namespaces: container.namespaces,
            terminal: streams.terminal(),
            grouped: matches!(way, Some(Way::Directory(_))),
        };
        let fds = vec![answers, container.init.as_fd(), process.as_fd()];
        let mut fds = with_streams(fds, &streams);
        match way {
            Some(Way::Helper(helper)) => send(helper, &request, &fds).map_err(not_sent),
            Some(Way::Directory(group)) => {
                fds.push(group.as_fd());
                self.send(&request, &fds).await
            }
            None => self.send(&request, &fds).await,
        }
    }

    /// Holds a directory of the machine for containers to mount by `name`, which must be a file name not in use. In it
    /// the caller's files belong to container root.
    ///
    /// # Errors
    /// See [`HoldError`].
    pub async fn hold(&self, name: &str, path: &Path, hold: Hold) -> Result<(), HoldError> {
        let failed = |source| HoldError::Source {
            path: path.to_owned(),
            source,
        };
        // Links are followed now and never again: whoever may change a directory on the way gets nothing else mounted.
        let real = path.canonicalize().map_err(failed)?;
        let tree = self.as_container_root(&real, hold).map_err(failed)?;
        let request = Request::Hold {
            name: name.to_owned(),
            source: match tree {
                Some(_) => HeldSource::Tree,
                None => HeldSource::Path(real.into()),
            },
            upper: match hold {
                Hold::Bind | Hold::Tree | Hold::Raw | Hold::Shared => None,
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

    /// What was written to a directory that [`Zygote::hold`] holds under an overlay, in bytes of the disk. A file that is
    /// removed and still open is not seen.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn written(&self, name: &str) -> Result<u64, RequestError> {
        let path = Path::new("scratch").join(self.upper(name));
        let bytes = self.work(Job::Measure { path }, &[]).await?;
        bytes
            .as_u64()
            .ok_or_else(|| out_of_turn("an answer is no number of bytes"))
    }

    /// What containers and overlays can still write to the disk, bytes.
    ///
    /// # Errors
    /// Those of statvfs(3).
    pub fn room(&self) -> io::Result<u64> {
        let found = rustix::fs::statvfs(self.directory.join("scratch"))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
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
    pub(super) fn upper(&self, name: &str) -> PathBuf {
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
        let of_nobody = hold == Hold::Shared && Defence::HostFilesOfNobody.is_on();
        if self.map.rung != Rung::Root || of_nobody {
            return Ok(None);
        }
        let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        let recursive = matches!(hold, Hold::Tree | Hold::Raw);
        flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
        let tree = open_tree(open_without_links(path)?, "", flags)?;
        let attr = MountAttr {
            id_map: (hold != Hold::Raw).then(|| self.user_namespace.as_fd()),
            // A copy of a shared mount would be its equal: what containers mount on it would appear on the machine.
            spread: Some(Spread::Private),
            recursive,
            ..MountAttr::default()
        };
        match mount_setattr(&tree, attr) {
            // A file system that cannot be id-mapped (NFS, FUSE, an overlay) is seen as others see it; an overlay of ours
            // on it is writable all the same where modes allow.
            Err(Errno::INVAL) if matches!(hold, Hold::Overlay | Hold::Tree) => {
                let attr = MountAttr {
                    id_map: None,
                    ..attr
                };
                mount_setattr(&tree, attr)?;
            }
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
    async fn send(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<(), RequestError> {
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

impl Drop for Zygote {
    fn drop(&mut self) {
        self.end();
    }
}

pub(super) const fn not_sent(source: io::Error) -> RequestError {
    RequestError::Io {
        operation: "send a request to the zygote",
        source,
    }
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

fn reply_sockets() -> io::Result<(OwnedFd, OwnedFd)> {
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

pub(crate) fn memory_file(spec: &impl serde::Serialize) -> io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create("container", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(spec)?)?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file.into())
}
