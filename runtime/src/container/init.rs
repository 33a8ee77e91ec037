//! The container's PID 1: it sets everything up, starts the command, reaps, forwards signals, and takes the whole PID
//! namespace down when the command is over.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::Pid;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::error::During;
use super::prepared::Prepared;
use super::{ContainerSpec, Exit, ExitStatus, StartError, Usage, step};
use crate::rootfs::{self, Upper};
use crate::sys::{CloneFlags, Cloned, clone3, wait_any};
use crate::zygote::wire::{Reply, send};

/// What the command's standard streams are.
#[derive(Debug)]
pub(crate) struct Stdio {
    /// Descriptor 0.
    pub(crate) input: OwnedFd,
    /// Descriptor 1.
    pub(crate) output: OwnedFd,
    /// Descriptor 2.
    pub(crate) error: OwnedFd,
}

/// Signals that somebody outside may send to the command through us.
const FORWARDED: [Signal; 7] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
];

/// Runs the container from its first instruction to its end. The caller exits afterwards, which ends the namespace.
pub(crate) fn run(
    prepared: &Prepared,
    upper: Upper,
    spec: &OwnedFd,
    stdio: Stdio,
    reply: &OwnedFd,
) {
    let outcome = start(prepared, upper, spec, stdio).and_then(|(command, signals)| {
        send(reply, &Reply::Running, &[]).during("report the start")?;
        Ok(supervise(command, &signals))
    });
    let last = match outcome {
        Ok(exit) => Reply::Exited(exit),
        Err(error) => Reply::Failed(error),
    };
    // When nobody listens any more there is nobody to tell.
    let _ = send(reply, &last, &[]);
}

fn start(
    prepared: &Prepared,
    upper: Upper,
    spec: &OwnedFd,
    stdio: Stdio,
) -> Result<(Pid, SignalFd), StartError> {
    let spec = read_spec(spec)?;
    rustix::system::sethostname(spec.hostname.as_bytes()).during("set the host name")?;
    if spec.network == super::Network::None {
        crate::sys::loopback_up().during("bring the loopback interface up")?;
    }
    rustix::process::umask(rustix::fs::Mode::empty());
    let root = rootfs::build(prepared, &spec, upper)?;
    root.enter()?;

    let mut mask: SigSet = FORWARDED.into_iter().collect();
    mask.add(Signal::SIGCHLD);
    mask.thread_block().during("block signals")?;
    let (failed, report) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .during("make the start's pipe")?;
    let command = match clone3(&prepared.proof, CloneFlags::NONE).during("fork the command")? {
        Cloned::Child => {
            drop(failed);
            let Err(error) = step::exec(prepared, &spec.process, stdio, report.as_fd());
            let text = serde_json::to_vec(&error).unwrap_or_default();
            let _ = rustix::io::write(&report, &text);
            crate::sys::exit_now(127)
        }
        Cloned::Parent { pid, .. } => pid,
    };
    drop(report);
    drop(stdio);
    // Blocks until the command's exec has closed the pipe.
    let mut text = Vec::new();
    std::fs::File::from(failed)
        .read_to_end(&mut text)
        .during("wait for the command's start")?;
    if !text.is_empty() {
        return Err(
            serde_json::from_slice(&text).unwrap_or(StartError::ZygoteGone {
                reason: "the command's failure could not be read".to_owned(),
            }),
        );
    }
    // All that is left to do needs no more than killing processes of other users in here.
    let kill = CapabilitySet::KILL;
    let sets = CapabilitySets {
        effective: kill,
        permitted: kill,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).during("drop capabilities")?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC).during("make the signalfd")?;
    Ok((command, signals))
}

fn read_spec(spec: &OwnedFd) -> Result<ContainerSpec, StartError> {
    let file = std::fs::File::from(spec.try_clone().during("duplicate the specification")?);
    serde_json::from_reader(std::io::BufReader::new(file)).map_err(|error| StartError::ZygoteGone {
        reason: format!("the specification does not parse: {error}"),
    })
}

/// Reaps and forwards until the command is over, then ends everything else in the namespace.
fn supervise(command: Pid, signals: &SignalFd) -> Exit {
    let mut usage = Usage::default();
    let status = loop {
        if let Some(status) = reap(command, &mut usage) {
            break status;
        }
        let Ok(Some(signal)) = signals.read_signal() else {
            continue;
        };
        // The sender's id is 0 when it lives outside this PID namespace; what the step sends to us is ignored.
        if signal.ssi_pid == 0 && signal.ssi_signo != Signal::SIGCHLD as u32 {
            forward(command, signal.ssi_signo);
        }
    };
    // -1: everything but ourselves (kill(2)). Whatever forks meanwhile is killed with the namespace, when we exit.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(-1), Signal::SIGKILL);
    while let Ok(Some((_, _, of_one))) = wait_any(true) {
        add(&mut usage, of_one);
    }
    Exit { status, usage }
}

/// Collects every child that has ended; the command's status if it is among them.
fn reap(command: Pid, usage: &mut Usage) -> Option<ExitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status, of_one))) = wait_any(false) {
        add(usage, of_one);
        if pid == command {
            found = Some(status);
        }
    }
    found
}

fn add(total: &mut Usage, one: Usage) {
    total.user += one.user;
    total.system += one.system;
    total.max_rss = total.max_rss.max(one.max_rss);
}

/// To the command's whole process group, so that `make` and its compilers hear of it together; it is the leader.
fn forward(command: Pid, signal: u32) {
    let signal = i32::try_from(signal)
        .ok()
        .and_then(rustix::process::Signal::from_named_raw);
    if let Some(signal) = signal {
        let _ = rustix::process::kill_process_group(command, signal);
    }
}
