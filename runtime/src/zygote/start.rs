//! A container's clone, by the zygote or by a helper of it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::server::{self, scratch};
use super::wire::Reply;
use crate::container::error::During;
use crate::container::init::{self, Begin};
use crate::container::namespaces::Namespaces;
use crate::container::prepared::Prepared;
use crate::container::{Phase, StartError, Streams, TerminalSize, Trace, Writable};
use crate::message::send;
use crate::network::pod::{self, PodSpec};
use crate::rootfs::Upper;
use crate::sys::{CloneFlags, Cloned, clone3, clone3_into, exit_now};

/// Start a container. Descriptors: specification, without a terminal stdin, stdout and stderr, its network namespace if it is
/// `joined`, and the control group if it is `grouped`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    /// Which it has for itself.
    pub(super) namespaces: Namespaces,
    /// Where its upper layer is to be, if it has one.
    pub(super) writable: Option<Writable>,
    /// A fresh directory below `scratch/` for an upper layer on disk.
    pub(super) upper: PathBuf,
    /// The bound of an upper layer in memory, bytes.
    pub(super) disk: Option<u64>,
    /// Its command's streams are a terminal of its own, of this size.
    pub(super) terminal: Option<TerminalSize>,
    /// Cloned into a control group of version 2.
    pub(super) grouped: bool,
    /// It has a place in a private network.
    pub(super) joined: bool,
    /// Its command waits for an order.
    pub(super) held: bool,
}

/// The descriptors of a start.
#[derive(Debug)]
pub(super) struct Given {
    /// The memory file.
    pub(super) spec: OwnedFd,
    pub(super) streams: Streams,
    /// Of a container that has a place in a private network.
    pub(super) network: Option<OwnedFd>,
    pub(super) group: Option<OwnedFd>,
}

/// A container's first process, and its upper layer if that is on disk.
pub(super) type Begun = (Pid, Option<PathBuf>);

impl Start {
    /// Clones the container, which answers on `reply` itself from then on.
    pub(super) fn perform(
        &self,
        prepared: &Prepared,
        given: Given,
        reply: &OwnedFd,
    ) -> Result<Begun, StartError> {
        let Given {
            spec,
            streams,
            network,
            group,
        } = given;
        let mut trace = Trace::default();
        trace.mark(Phase::Received);
        let upper = self.upper(prepared)?;
        let flags = self.namespaces.to_clone().and(prepared.beside());
        let group = group.as_ref().map(AsFd::as_fd);
        match clone3_into(&prepared.proof, flags, group).during("clone into new namespaces")? {
            Cloned::Child => {
                let begin = Begin {
                    upper,
                    network,
                    spec,
                    streams,
                    reply,
                    held: self.held,
                    trace,
                };
                let code = init::run(prepared, begin);
                exit_now(code.into())
            }
            Cloned::Parent { pid, pidfd } => {
                let _ = send(reply, &Reply::Cloned, &[pidfd.as_fd()]);
                let is_kept = matches!(self.writable, Some(Writable::Kept(_)));
                let directory = match upper {
                    Some(Upper::Directory(path)) if !is_kept => Some(path),
                    Some(_) | None => None,
                };
                Ok((pid, directory))
            }
        }
    }

    fn upper(&self, prepared: &Prepared) -> Result<Option<Upper>, StartError> {
        match self.writable {
            None => Ok(None),
            Some(Writable::Memory) if prepared.stage.marks_in_memory() => {
                Ok(Some(Upper::Memory { size: self.disk }))
            }
            Some(Writable::Memory | Writable::Disk | Writable::Kept(_)) => {
                scratch(&self.upper).map(Some)
            }
        }
    }
}

/// Forks a process that serves on `socket` as the zygote does on its own: containers it clones are in the control groups
/// that it was moved to meanwhile.
pub(super) fn fork_helper(
    prepared: &Prepared,
    socket: &OwnedFd,
    reply: &OwnedFd,
) -> Result<(), StartError> {
    match clone3(&prepared.proof, prepared.beside()).during("fork a helper")? {
        Cloned::Child => {
            server::serve(prepared, socket);
            exit_now(0)
        }
        Cloned::Parent { pidfd, .. } => {
            let _ = send(reply, &Reply::Cloned, &[pidfd.as_fd()]);
            Ok(())
        }
    }
}

/// Forks the process that keeps a private network, in a network namespace of its own; it answers on `reply` itself.
pub(super) fn fork_pod(
    prepared: &Prepared,
    spec: &PodSpec,
    reply: &OwnedFd,
) -> Result<(), StartError> {
    match clone3(&prepared.proof, CloneFlags::NEWNET).during("fork a private network's process")? {
        Cloned::Child => {
            pod::run(prepared, spec, reply);
            exit_now(0)
        }
        Cloned::Parent { .. } => Ok(()),
    }
}
