//! A further process in a running container.
//!
//! ```text
//! zygote --fork--> worker: joins the container's namespaces --fork--> the process, as the container's command was made
//!                    |  <-- signals, or the end of the socket
//!                    '--> running (and its terminal), exited
//! ```
//! The worker stays outside of the container's PID namespace, where nothing inside can see it. It takes into the container
//! what the zygote has open, and the process it forks closes all of that before it executes anything (CVE-2019-5736,
//! CVE-2024-21626); joining a mount namespace has moved its working directory inside. When nobody is left who wants the
//! process, it ends; the container's end ends it in any case.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::move_into_thread_name_spaces;

use super::error::During;
use super::init::{self, Stdio};
use super::limits::OwnLimits;
use super::namespaces::Namespaces;
use super::prepared::Prepared;
use super::terminal::{Streams, Terminal};
use super::{Exit, Process, StartError, Trace, step};
use crate::message::{receive, send};
use crate::sys::{signal_group, wait_any};
use crate::zygote::wire::{Order, Reply};

/// What a process has to end in when nobody wants it any more, before it is killed.
const GRACE: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Runs the process to its end. The caller exits afterwards.
pub(crate) fn run(
    prepared: &Prepared,
    container: &OwnedFd,
    namespaces: Namespaces,
    process: OwnedFd,
    streams: Streams,
    reply: &OwnedFd,
) {
    let mut kept = streams.descriptors();
    kept.extend([container, &process, reply].map(AsFd::as_fd));
    init::keep_only(prepared, &kept);
    let started = join(container, namespaces).and_then(|()| start(prepared, process, streams));
    let outcome = started.and_then(|(process, children, terminal)| {
        let terminal: Vec<_> = terminal.into_iter().collect();
        let borrowed: Vec<_> = terminal.iter().map(AsFd::as_fd).collect();
        // When that fails there is nobody any more, which is noticed at once.
        let _ = send(reply, &Reply::Running(Trace::default()), &borrowed);
        drop(terminal);
        supervise(process, &children, reply)
    });
    let last = match outcome {
        Ok(exit) => Reply::Exited(exit),
        Err(error) => Reply::Failed(error),
    };
    let _ = send(reply, &last, &[]);
}

/// Enters the namespaces of the container's init.
fn join(container: &OwnedFd, namespaces: Namespaces) -> Result<(), StartError> {
    match move_into_thread_name_spaces(container.as_fd(), namespaces.to_join()) {
        Err(Errno::SRCH) => Err(StartError::ContainerGone),
        result => result.during("join the container's namespaces"),
    }
}

fn start(
    prepared: &Prepared,
    process: OwnedFd,
    streams: Streams,
) -> Result<(Pid, SignalFd, Option<OwnedFd>), StartError> {
    let process: Process = serde_json::from_reader(std::io::BufReader::new(File::from(process)))
        .map_err(|error| StartError::ZygoteGone {
            reason: format!("the process's specification does not parse: {error}"),
        })?;
    let (stdio, terminal) = match streams {
        Streams::Files(files) => (Stdio::files(files), None),
        Streams::Terminal(size) => {
            let terminal = Terminal::in_running_container(size)?;
            (terminal.stdio()?, Some(terminal.outside))
        }
    };
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    mask.thread_block().during("block signals")?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let children = SignalFd::with_flags(&mask, flags).during("make the signalfd")?;
    match step::spawn(
        prepared,
        &process,
        &OwnLimits::default(),
        stdio,
        &mut Trace::default(),
    ) {
        // What fork(2) says in a PID namespace whose init has ended.
        Err(StartError::System { errno, .. }) if errno == libc::ENOMEM => {
            Err(StartError::ContainerGone)
        }
        result => Ok((result?, children, terminal)),
    }
}

/// Waits for the process's end and passes signals on to its group; without anybody who wants it, ends it.
fn supervise(process: Pid, children: &SignalFd, orders: &OwnedFd) -> Result<Exit, StartError> {
    let mut wanted = true;
    loop {
        while let Ok(Some(_)) = children.read_signal() {}
        while let Ok(Some((pid, status, usage))) = wait_any(false) {
            if pid == process {
                return Ok(Exit {
                    status,
                    usage: Some(usage),
                    exceeded: None,
                });
            }
        }
        let mut ready = [
            PollFd::new(children, PollFlags::IN),
            PollFd::new(orders, PollFlags::IN),
        ];
        let watched = if wanted {
            &mut ready[..]
        } else {
            &mut ready[..1]
        };
        let timeout = (!wanted).then_some(&GRACE);
        match poll(watched, timeout) {
            Ok(0) => {
                let _ = signal_group(process, libc::SIGKILL);
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).during("wait for the process"),
        }
        if wanted && !ready[1].revents().is_empty() {
            match receive::<Order>(orders) {
                Ok(Some((Order::Signal(number), _))) => {
                    let _ = signal_group(process, number);
                }
                // Nobody wants it any more, or says something that we do not understand.
                Ok(Some((Order::Begin | Order::Become, _)) | None) | Err(_) => {
                    wanted = false;
                    // As of a terminal that is gone; one that is stopped has to go on to hear of it.
                    for number in [libc::SIGHUP, libc::SIGCONT] {
                        let _ = signal_group(process, number);
                    }
                }
            }
        }
    }
}
