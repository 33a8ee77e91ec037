//! The container's PID 1: it sets everything up, starts the command, reaps, forwards signals, and takes the whole PID
//! namespace down when the command is over.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::error::During;
use super::limits::OwnLimits;
use super::prepared::Prepared;
use super::terminal::Streams;
use super::{ContainerSpec, Exit, ExitStatus, Phase, StartError, Trace, Usage, exceeded, step};
use crate::message::send;
use crate::rootfs::{self, Upper};
use crate::security::Defence;
use crate::sys::{close_all_but, forwardable_signals, signal_group, wait_any};
use crate::zygote::wire::Reply;

/// What the command's standard streams are.
#[derive(Debug)]
pub(crate) struct Stdio {
    /// Descriptor 0.
    pub(crate) input: OwnedFd,
    /// Descriptor 1.
    pub(crate) output: OwnedFd,
    /// Descriptor 2.
    pub(crate) error: OwnedFd,
    /// All of them are a terminal, which is to control the command's session.
    pub(crate) is_terminal: bool,
}

impl Stdio {
    /// Files, pipes or whatever they are.
    pub(crate) fn files([input, output, error]: [OwnedFd; 3]) -> Self {
        Self {
            input,
            output,
            error,
            is_terminal: false,
        }
    }
}

/// What a container's first process comes into the world with.
#[derive(Debug)]
pub(crate) struct Begin<'a> {
    /// Where the upper layer of its root is.
    pub(crate) upper: Upper,
    /// The memory file with its specification.
    pub(crate) spec: &'a OwnedFd,
    /// The command's streams.
    pub(crate) streams: Streams,
    /// Where to report to.
    pub(crate) reply: &'a OwnedFd,
    /// Begun by the zygote.
    pub(crate) trace: Trace,
}

/// Closes what was inherited from the zygote, its own socket among it: in a container nothing may be found that leads out.
/// The caller touches nothing of it any more.
pub(crate) fn keep_only(prepared: &Prepared, kept: &[BorrowedFd<'_>]) {
    if Defence::ClosedDescriptors.is_on() {
        // It fails on kernels that cannot run containers.
        let _ = close_all_but(&prepared.proof, kept);
    }
}

/// Runs the container from its first instruction to its end. The caller exits afterwards, which ends the namespace.
pub(crate) fn run(prepared: &Prepared, begin: Begin<'_>) {
    let reply = begin.reply;
    let mut kept = begin.streams.descriptors();
    kept.extend([reply.as_fd(), begin.spec.as_fd()]);
    keep_only(prepared, &kept);
    let outcome = start(prepared, begin).and_then(|started| {
        let files: Vec<_> = started.files.iter().map(AsFd::as_fd).collect();
        send(reply, &Reply::Running(started.trace), &files).during("report the start")?;
        drop(started.files);
        Ok(supervise(
            started.command,
            &started.signals,
            &started.limits,
        ))
    });
    let last = match outcome {
        Ok(exit) => Reply::Exited(exit),
        Err(error) => Reply::Failed(error),
    };
    // When nobody listens any more there is nobody to tell.
    let _ = send(reply, &last, &[]);
}

/// A command that runs.
struct Started {
    command: Pid,
    signals: SignalFd,
    /// What goes out with the news of it: the files of the exchange, and the command's terminal.
    files: Vec<OwnedFd>,
    limits: OwnLimits,
    trace: Trace,
}

fn start(prepared: &Prepared, begin: Begin<'_>) -> Result<Started, StartError> {
    let Begin {
        upper,
        spec,
        streams,
        mut trace,
        ..
    } = begin;
    trace.mark(Phase::Cloned);
    let (spec, limits) = read_spec(spec)?;
    limits.hold_namespace()?;
    rustix::system::sethostname(spec.hostname.as_bytes()).during("set the host name")?;
    if spec.network == super::Network::None {
        crate::sys::loopback_up().during("bring the loopback interface up")?;
    }
    rustix::process::umask(rustix::fs::Mode::empty());
    trace.mark(Phase::Specified);
    let built = rootfs::build(prepared, &spec, upper, streams.terminal(), &mut trace)?;
    built.root.enter()?;
    trace.mark(Phase::Entered);

    let mut mask = forwardable_signals();
    mask.add(Signal::SIGCHLD);
    mask.thread_block().during("block signals")?;
    let stdio = match (streams, &built.terminal) {
        (Streams::Files(files), _) => Stdio::files(files),
        (Streams::Terminal(_), Some(terminal)) => terminal.stdio()?,
        (Streams::Terminal(_), None) => return Err(Errno::NOTTY).during("take the terminal"),
    };
    let command = step::spawn(prepared, &spec.process, &limits, stdio, &mut trace)?;
    // All that is left to do needs no more than killing processes of other users in here.
    let kill = CapabilitySet::KILL;
    let sets = CapabilitySets {
        effective: kill,
        permitted: kill,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).during("drop capabilities")?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC).during("make the signalfd")?;
    let exchange = built.exchange.into_iter().map(OwnedFd::from);
    let terminal = built.terminal.map(|terminal| terminal.outside);
    Ok(Started {
        command,
        signals,
        files: exchange.chain(terminal).collect(),
        limits,
        trace,
    })
}

fn read_spec(spec: &OwnedFd) -> Result<(ContainerSpec, OwnLimits), StartError> {
    let file = File::from(spec.try_clone().during("duplicate the specification")?);
    serde_json::from_reader(std::io::BufReader::new(file)).map_err(|error| StartError::ZygoteGone {
        reason: format!("the specification does not parse: {error}"),
    })
}

/// Reaps and forwards until the command is over, then ends everything else in the namespace.
fn supervise(command: Pid, signals: &SignalFd, limits: &OwnLimits) -> Exit {
    let mut usage = Usage::default();
    let (status, with_it) = loop {
        let (status, count) = reap(command, &mut usage);
        if let Some(status) = status {
            break (status, count);
        }
        let Ok(Some(signal)) = signals.read_signal() else {
            continue;
        };
        // The sender's id is 0 when it lives outside this PID namespace; what the step sends to us is ignored.
        if signal.ssi_pid == 0 && signal.ssi_signo != Signal::SIGCHLD as u32 {
            forward(command, signal.ssi_signo);
        }
    };
    let exceeded = match status {
        ExitStatus::Code(0) => None,
        ExitStatus::Code(_) | ExitStatus::Signal(_) => exceeded::look(limits, with_it),
    };
    // -1: everything but ourselves (kill(2)). Whatever forks meanwhile is killed with the namespace, when we exit.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(-1), Signal::SIGKILL);
    while let Ok(Some((_, _, of_one))) = wait_any(true) {
        add(&mut usage, of_one);
    }
    Exit {
        status,
        usage: Some(usage),
        exceeded,
    }
}

/// Collects every child that has ended; the command's status if it is among them, and how many they were.
fn reap(command: Pid, usage: &mut Usage) -> (Option<ExitStatus>, u64) {
    let (mut found, mut count) = (None, 0);
    while let Ok(Some((pid, status, of_one))) = wait_any(false) {
        add(usage, of_one);
        count += 1;
        if pid == command {
            found = Some(status);
        }
    }
    (found, count)
}

fn add(total: &mut Usage, one: Usage) {
    total.user += one.user;
    total.system += one.system;
    total.max_rss = total.max_rss.max(one.max_rss);
    total.read = Some(total.read.unwrap_or(0) + one.read.unwrap_or(0));
    total.written = Some(total.written.unwrap_or(0) + one.written.unwrap_or(0));
}

/// To the command's whole process group, so that `make` and its compilers hear of it together; it is the leader.
fn forward(command: Pid, signal: u32) {
    if let Ok(number) = i32::try_from(signal) {
        let _ = signal_group(command, number);
    }
}
