//! The zygote's loop: receive a request, fork or mount, go on. It never waits for what it has started.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Pid;

use super::asked::Asked;
use super::start::{Given, fork_helper, fork_pod};
use super::wire::{HeldSource, Job, Reply};
use super::work;
use crate::container::error::During;
use crate::container::prepared::Prepared;
use crate::container::{StartError, exec};
use crate::message::{receive_bytes, send};
use crate::rootfs::{Overlay, Stage, Upper, clone_without_links, mount_below};
use crate::sys::{CloneFlags, Cloned, clone3_into, exit_now, give_back_program, wait_any};

/// Without a request for so long, what the last ones needed in memory is given back.
const IDLE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Serves until the agent is gone; returning ends the PID namespace and with it everything in it.
pub(super) fn serve(prepared: &Prepared, socket: &OwnedFd) -> ExitCode {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let Ok(children) = mask
        .thread_block()
        .and_then(|()| SignalFd::with_flags(&mask, flags))
    else {
        return ExitCode::FAILURE;
    };
    let mut server = Server {
        prepared,
        uppers: HashMap::new(),
    };
    let mut patience = Some(IDLE);
    loop {
        let mut ready = [
            PollFd::new(socket, PollFlags::IN),
            PollFd::new(&children, PollFlags::IN),
        ];
        match poll(&mut ready, patience.as_ref()) {
            Ok(0) => {
                // What cannot be given back is kept.
                let _ = give_back_program(&prepared.proof);
                patience = None;
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return ExitCode::FAILURE,
        }
        let asked = !ready[0].revents().is_empty();
        let ended = !ready[1].revents().is_empty();
        if ended {
            while let Ok(Some(_)) = children.read_signal() {}
            server.reap();
        }
        if asked {
            patience = Some(IDLE);
            match receive_bytes(socket.as_fd()) {
                Ok(Some((text, fds))) => server.answer(&text, fds),
                Ok(None) => return ExitCode::SUCCESS,
                // More than a message may be: its sender sees its socket close.
                Err(_) => {}
            }
        }
    }
}

/// All there is to know between two requests.
struct Server<'a> {
    prepared: &'a Prepared,
    /// Upper layers on disk, by the container's first process.
    uppers: HashMap<Pid, PathBuf>,
}

impl Server<'_> {
    /// Collects children that have ended; a container's upper layer on disk goes with it.
    fn reap(&mut self) {
        while let Ok(Some((pid, ..))) = wait_any(false) {
            if let Some(path) = self.uppers.remove(&pid) {
                work::fork_silently(self.prepared, &Job::Remove { path });
            }
        }
    }

    fn answer(&mut self, text: &[u8], mut fds: Vec<OwnedFd>) {
        if fds.is_empty() {
            // Nobody waits for an answer.
            return;
        }
        let reply = fds.remove(0);
        let outcome = Asked::read(text, fds).and_then(|asked| self.perform(asked, &reply));
        match outcome {
            // Nobody waits for the answer of a request that was cancelled.
            Ok(Some(last)) => drop(send(&reply, &last, &[])),
            Ok(None) => {}
            Err(error) => refuse(&reply, error),
        }
    }

    /// Does what is asked for; the answer, unless somebody else gives it.
    fn perform(&mut self, asked: Asked, reply: &OwnedFd) -> Result<Option<Reply>, StartError> {
        match asked {
            Asked::Start {
                start,
                spec,
                streams,
                network,
                group,
            } => {
                let given = Given {
                    spec,
                    streams,
                    network,
                    group,
                };
                let (pid, upper) = start.perform(self.prepared, given, reply)?;
                self.uppers.extend(upper.map(|path| (pid, path)));
                Ok(None)
            }
            Asked::Help { socket } => fork_helper(self.prepared, &socket, reply).map(|()| None),
            Asked::Exec {
                namespaces,
                container,
                process,
                streams,
                group,
            } => {
                let prepared = self.prepared;
                let start = || exec::run(prepared, &container, namespaces, process, streams, reply);
                self.exec(group.as_ref(), start)
            }
            Asked::Hold {
                name,
                source,
                tree,
                upper,
            } => hold(&self.prepared.stage, &name, &source, upper.as_deref(), tree)
                .map(|()| Some(done())),
            Asked::Pod { spec } => fork_pod(self.prepared, &spec, reply).map(|()| None),
            Asked::Release { name } => self.prepared.stage.release(&name).map(|()| Some(done())),
            Asked::Work { job, fds } => work::fork(self.prepared, &job, fds, reply).map(|()| None),
        }
    }

    /// Forks a worker that starts a process in a running container and answers itself.
    fn exec(
        &self,
        group: Option<&OwnedFd>,
        start: impl FnOnce(),
    ) -> Result<Option<Reply>, StartError> {
        let group = group.map(AsFd::as_fd);
        match clone3_into(&self.prepared.proof, CloneFlags::NONE, group).during("fork a worker")? {
            Cloned::Child => {
                start();
                exit_now(0)
            }
            Cloned::Parent { .. } => Ok(None),
        }
    }
}

/// Tells why something was not done, where somebody wants to know.
pub(super) fn refuse(reply: &OwnedFd, error: StartError) {
    let _ = send(reply, &Reply::Failed(error), &[]);
}

const fn done() -> Reply {
    Reply::Done(serde_json::Value::Null)
}

/// Mounts something for a job: a source as it is, or under an overlay whose upper layer is in `scratch/`.
fn hold(
    stage: &Stage,
    name: &str,
    source: &HeldSource,
    upper: Option<&Path>,
    tree: Option<OwnedFd>,
) -> Result<(), StartError> {
    let lower = match (source, tree) {
        (HeldSource::Path(path), _) => clone_without_links(Path::new(path))?,
        (HeldSource::Tree, Some(tree)) => tree,
        (HeldSource::Tree, None) => return Err(Errno::BADF).during("take the tree to hold"),
        (HeldSource::Fresh, _) => return stage.hold(name, &fresh(upper)?),
    };
    let tree = match upper {
        None => lower,
        Some(upper) => stage
            .with_lower(&lower, |lower| {
                let overlay = Overlay {
                    layers: &[lower],
                    upper: scratch(upper)?,
                };
                overlay.mount(stage)
            })
            .map_err(|error| explain(error, source))?,
    };
    stage.hold(name, &tree)
}

/// The kernel refuses a tree with mounts below that came into the user namespace with it, and does not say why.
fn explain(error: StartError, source: &HeldSource) -> StartError {
    let HeldSource::Path(path) = source else {
        return error;
    };
    let ours = std::env::current_dir().unwrap_or_default();
    match mount_below(Path::new(path), &ours) {
        Some(mount) if error.is_invalid_argument() => StartError::MountBelow {
            mount: mount.display().to_string(),
        },
        _ => error,
    }
}

/// A directory of its own, of which the kernel takes no notice of who owns it: steps have users of all kinds.
fn fresh(at: Option<&Path>) -> Result<OwnedFd, StartError> {
    let Some(at) = at else {
        return Err(Errno::INVAL).during("make a directory to hold");
    };
    let path = Path::new("scratch").join(at);
    std::fs::create_dir_all(&path).during_at("make", &path)?;
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(&path, open).during_at("open to all", &path)?;
    clone_without_links(&path)
}

/// A fresh directory for an upper layer.
pub(super) fn scratch(upper: &Path) -> Result<Upper, StartError> {
    let path = Path::new("scratch").join(upper);
    std::fs::create_dir_all(&path).during_at("make", &path)?;
    Ok(Upper::Directory(path))
}
