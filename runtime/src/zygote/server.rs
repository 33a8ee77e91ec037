//! The zygote's loop: receive a request, fork or mount, go on. It never waits for what it has started.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Pid;

use super::wire::{HeldSource, Job, Reply, Request, receive, send};
use super::work;
use crate::container::error::During;
use crate::container::init::{self, Stdio};
use crate::container::prepared::Prepared;
use crate::container::{StartError, Writable};
use crate::rootfs::{Overlay, Stage, Upper, clone_tree};
use crate::sys::{CloneFlags, Cloned, clone3, exit_now, wait_any};

/// Serves until the agent is gone; returning ends the PID namespace and with it everything in it.
pub(super) fn serve(prepared: Prepared, socket: &OwnedFd) -> ExitCode {
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
    loop {
        let mut ready = [
            PollFd::new(socket, PollFlags::IN),
            PollFd::new(&children, PollFlags::IN),
        ];
        match poll(&mut ready, None) {
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
            match receive::<Request>(socket.as_fd()) {
                Ok(Some((request, fds))) => server.answer(request, fds),
                Ok(None) => return ExitCode::SUCCESS,
                // A message we do not understand is a fault of ours; its sender sees its socket close.
                Err(_) => {}
            }
        }
    }
}

/// All there is to know between two requests.
struct Server {
    prepared: Prepared,
    /// Upper layers on disk, by the container's first process.
    uppers: HashMap<Pid, PathBuf>,
}

impl Server {
    /// Collects children that have ended; a container's upper layer on disk goes with it.
    fn reap(&mut self) {
        while let Ok(Some((pid, ..))) = wait_any(false) {
            if let Some(path) = self.uppers.remove(&pid) {
                work::fork_silently(&self.prepared, &Job::Remove { path });
            }
        }
    }

    fn answer(&mut self, request: Request, fds: Vec<OwnedFd>) {
        let mut fds = fds.into_iter();
        let Some(reply) = fds.next() else {
            return;
        };
        let outcome = match request {
            Request::Start {
                private_network,
                writable,
                upper,
            } => {
                let (Some(spec), Some(input), Some(output), Some(error)) =
                    (fds.next(), fds.next(), fds.next(), fds.next())
                else {
                    return;
                };
                let stdio = Stdio {
                    input,
                    output,
                    error,
                };
                self.upper(writable, &upper)
                    .and_then(|upper| self.start(private_network, upper, &reply, &spec, stdio))
            }
            Request::Hold {
                name,
                source,
                upper,
            } => hold(
                &self.prepared.stage,
                &name,
                &source,
                upper.as_deref(),
                fds.next(),
            )
            .map(|()| Some(done())),
            Request::Release { name } => self.prepared.stage.release(&name).map(|()| Some(done())),
            Request::Work(job) => {
                work::fork(&self.prepared, &job, fds.collect(), &reply).map(|()| None)
            }
        };
        let last = match outcome {
            Ok(Some(last)) => last,
            Ok(None) => return,
            Err(error) => Reply::Failed(error),
        };
        // Nobody waits for the answer of a request that was cancelled.
        let _ = send(&reply, &last, &[]);
    }

    fn upper(&self, writable: Writable, upper: &Path) -> Result<Upper, StartError> {
        match writable {
            Writable::Memory if self.prepared.stage.marks_in_memory() => Ok(Upper::Memory),
            Writable::Memory | Writable::Disk => scratch(upper),
        }
    }

    fn start(
        &mut self,
        private_network: bool,
        upper: Upper,
        reply: &OwnedFd,
        spec: &OwnedFd,
        stdio: Stdio,
    ) -> Result<Option<Reply>, StartError> {
        let mut flags = CloneFlags::NEWNS
            .and(CloneFlags::NEWPID)
            .and(CloneFlags::NEWUTS)
            .and(CloneFlags::NEWIPC)
            .and(CloneFlags::NEWCGROUP);
        if private_network {
            flags = flags.and(CloneFlags::NEWNET);
        }
        match clone3(&self.prepared.proof, flags).during("clone into new namespaces")? {
            Cloned::Child => {
                init::run(&self.prepared, upper, spec, stdio, reply);
                exit_now(0)
            }
            Cloned::Parent { pid, pidfd } => {
                if let Upper::Directory(path) = upper {
                    self.uppers.insert(pid, path);
                }
                let _ = send(reply, &Reply::Cloned, &[pidfd.as_fd()]);
                Ok(None)
            }
        }
    }
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
    let tree = match (source, tree) {
        (HeldSource::Path(path), _) if upper.is_none() => clone_tree(path)?,
        (HeldSource::Path(path), _) => {
            let overlay = Overlay {
                layers: &[path],
                upper: scratch(upper.unwrap_or_else(|| Path::new("")))?,
            };
            overlay.mount(stage)?
        }
        (HeldSource::Tree, Some(tree)) if upper.is_none() => tree,
        (HeldSource::Tree, Some(tree)) => {
            // An overlay takes its layers by path, so the tree is attached first and stays attached beneath.
            let lower = format!("{name}.lower");
            stage.hold(&lower, &tree)?;
            let overlay = Overlay {
                layers: &[stage.held(&lower)],
                upper: scratch(upper.unwrap_or_else(|| Path::new("")))?,
            };
            let overlay = overlay.mount(stage);
            stage.release(&lower)?;
            overlay?
        }
        (HeldSource::Tree, None) => return Err(Errno::BADF).during("take the tree to hold"),
    };
    stage.hold(name, &tree)
}

fn scratch(upper: &Path) -> Result<Upper, StartError> {
    let path = Path::new("scratch").join(upper);
    std::fs::create_dir_all(&path).during_at("make", &path)?;
    Ok(Upper::Directory(path))
}
