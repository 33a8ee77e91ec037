//! The container's PID 1: it sets everything up, starts the command, reaps, forwards signals, and takes the whole PID
//! namespace down when the command is over.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CapabilitySet, CapabilitySets, LinkNameSpaceType, move_into_link_name_space};
use serde::de::DeserializeOwned;

use super::error::During;
use super::limits::OwnLimits;
use super::prepared::Prepared;
use super::terminal::Streams;
use super::{
    ContainerSpec, Exit, ExitStatus, Late, Phase, StartError, Trace, Usage, exceeded, step,
};
use crate::message::{receive, send};
use crate::network::Joined;
use crate::rootfs::{self, Upper};
use crate::security::Defence;
use crate::sys::{close_all_but, forwardable_signals, signal_group, wait_any};
use crate::zygote::wire::{Order, Reply};

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
    /// Where the upper layer of its root is, if it has one.
    pub(crate) upper: Option<Upper>,
    /// Its network namespace, if it is given one.
    pub(crate) network: Option<OwnedFd>,
    /// The memory file with its specification.
    pub(crate) spec: OwnedFd,
    /// The command's streams.
    pub(crate) streams: Streams,
    /// Where to report to.
    pub(crate) reply: &'a OwnedFd,
    /// The command waits for an order.
    pub(crate) held: bool,
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

/// Runs the container from its first instruction to its end. The caller exits afterwards with the number that is answered, as
/// a shell tells it, which ends the namespace.
pub(crate) fn run(prepared: &Prepared, begin: Begin<'_>) -> u8 {
    let reply = begin.reply;
    let mut kept = begin.streams.descriptors();
    kept.extend([reply.as_fd(), begin.spec.as_fd()]);
    kept.extend(begin.network.as_ref().map(AsFd::as_fd));
    keep_only(prepared, &kept);
    let outcome = build(prepared, begin).and_then(|mut ready| {
        if ready.held
            && let Some(exit) = ready.hold(reply)?
        {
            return Ok(exit);
        }
        let started = start(prepared, ready)?;
        let files: Vec<_> = started.files.iter().map(AsFd::as_fd).collect();
        send(reply, &Reply::Running(started.trace), &files).during("report the start")?;
        drop(started.files);
        Ok(supervise(
            started.command,
            &started.signals,
            // Otherwise the end of the agent is the zygote's, and with it ours.
            prepared.is_beside().then_some(reply),
            &started.limits,
        ))
    });
    let (last, code) = match outcome {
        Ok(exit) => (Reply::Exited(exit), exit.status.as_a_shell_says()),
        Err(error) => (Reply::Failed(error), u8::MAX),
    };
    // When nobody listens any more there is nobody to tell.
    let _ = send(reply, &last, &[]);
    code
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

/// A container of which only the command is missing.
struct Ready {
    spec: ContainerSpec,
    limits: OwnLimits,
    stdio: Stdio,
    signals: SignalFd,
    files: Vec<OwnedFd>,
    held: bool,
    trace: Trace,
}

fn build(prepared: &Prepared, begin: Begin<'_>) -> Result<Ready, StartError> {
    let Begin {
        upper,
        network,
        spec,
        streams,
        held,
        mut trace,
        ..
    } = begin;
    trace.mark(Phase::Cloned);
    if let Some(network) = network {
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(network.as_fd(), kind).during("join the private network")?;
    }
    let (spec, limits, joined) = read_json::<(ContainerSpec, OwnLimits, Option<Joined>)>(spec)?;
    limits.hold_namespace()?;
    if !spec.hostname.is_empty() {
        rustix::system::sethostname(spec.hostname.as_bytes()).during("set the host name")?;
    }
    if spec.network == super::Network::None {
        crate::sys::loopback_up().during("bring the loopback interface up")?;
    }
    rustix::process::umask(rustix::fs::Mode::empty());
    trace.mark(Phase::Specified);
    let built = rootfs::build(
        prepared,
        &spec,
        joined.as_ref(),
        upper,
        streams.terminal(),
        &mut trace,
    )?;
    built.root.enter(built.propagation)?;
    trace.mark(Phase::Entered);

    let mut mask = forwardable_signals();
    mask.add(Signal::SIGCHLD);
    mask.thread_block().during("block signals")?;
    let stdio = match (streams, &built.terminal) {
        (Streams::Files(files), _) => Stdio::files(files),
        (Streams::Terminal(_), Some(terminal)) => terminal.stdio()?,
        (Streams::Terminal(_), None) => return Err(Errno::NOTTY).during("take the terminal"),
    };
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC).during("make the signalfd")?;
    let exchange = built.exchange.into_iter().map(OwnedFd::from);
    let terminal = built.terminal.map(|terminal| terminal.outside);
    Ok(Ready {
        spec,
        limits,
        stdio,
        signals,
        files: exchange.chain(terminal).collect(),
        held,
        trace,
    })
}

impl Ready {
    /// Waits for the order to go on. A signal that would end a program ends the container.
    fn hold(&mut self, reply: &OwnedFd) -> Result<Option<Exit>, StartError> {
        let trace = std::mem::take(&mut self.trace);
        let files: Vec<_> = self.files.iter().map(AsFd::as_fd).collect();
        send(reply, &Reply::Created(trace), &files).during("report the container")?;
        self.files.clear();
        loop {
            match next(&self.signals, Some(reply))? {
                Event::Signal(signal) if ends_a_program(signal.ssi_signo) => {
                    let number = i32::try_from(signal.ssi_signo).unwrap_or(0);
                    return Ok(Some(Exit {
                        status: ExitStatus::Signal(number),
                        usage: None,
                        exceeded: None,
                    }));
                }
                Event::Signal(_) => {}
                Event::Said => match receive::<Order>(reply).during("receive the order")? {
                    Some((Order::Begin, _)) => return Ok(None),
                    Some((Order::Become, fds)) => return self.accept(fds).map(|()| None),
                    Some((Order::Signal(_), _)) => {}
                    None => return Err(StartError::ContainerGone),
                },
            }
        }
    }
}

impl Ready {
    /// Takes what was not known when it was built.
    fn accept(&mut self, fds: Vec<OwnedFd>) -> Result<(), StartError> {
        self.trace.mark(Phase::Received);
        let mut fds = fds.into_iter();
        let (Some(late), Some(input), Some(output), Some(error)) =
            (fds.next(), fds.next(), fds.next(), fds.next())
        else {
            return Err(Errno::BADF).during("take a descriptor");
        };
        let late: Late = read_json(late)?;
        let exchange = rootfs::complete(&late.files, &late.exchange)?;
        self.trace.mark(Phase::Files);
        self.files = exchange.into_iter().map(OwnedFd::from).collect();
        self.stdio = Stdio::files([input, output, error]);
        self.spec.process = late.process;
        Ok(())
    }
}

/// Whether a signal's default is to end a program (signal(7)).
fn ends_a_program(number: u32) -> bool {
    use libc::{SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH};
    let harmless = [
        SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH,
    ];
    !harmless
        .into_iter()
        .any(|other| u32::try_from(other) == Ok(number))
}

/// Something that a container's first process waits for.
enum Event {
    /// From outside, or SIGCHLD.
    Signal(siginfo),
    /// There is an order, or the end of the connection.
    Said,
}

/// Waits for the next event; without `reply` for signals alone.
fn next(signals: &SignalFd, reply: Option<&OwnedFd>) -> Result<Event, StartError> {
    loop {
        if let Some(reply) = reply {
            let mut ready = [
                PollFd::new(signals, PollFlags::IN),
                PollFd::new(reply, PollFlags::IN),
            ];
            match poll(&mut ready, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno).during("wait"),
            }
            if !ready[1].revents().is_empty() {
                return Ok(Event::Said);
            }
        }
        if let Ok(Some(signal)) = signals.read_signal()
            // The sender's id is 0 when it lives outside this PID namespace; what the step sends to us is ignored.
            && (signal.ssi_pid == 0 || signal.ssi_signo == Signal::SIGCHLD as u32)
        {
            return Ok(Event::Signal(signal));
        }
    }
}

fn start(prepared: &Prepared, ready: Ready) -> Result<Started, StartError> {
    let Ready {
        spec,
        limits,
        stdio,
        signals,
        files,
        mut trace,
        ..
    } = ready;
    let command = step::spawn(prepared, &spec.process, &limits, stdio, &mut trace)?;
    // All that is left to do needs no more than killing processes of other users in here.
    let kill = CapabilitySet::KILL;
    let sets = CapabilitySets {
        effective: kill,
        permitted: kill,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).during("drop capabilities")?;
    Ok(Started {
        command,
        signals,
        files,
        limits,
        trace,
    })
}

/// Reads a memory file, and lets go of it.
fn read_json<T: DeserializeOwned>(spec: OwnedFd) -> Result<T, StartError> {
    serde_json::from_reader(std::io::BufReader::new(File::from(spec))).map_err(|error| {
        StartError::ZygoteGone {
            reason: format!("the specification does not parse: {error}"),
        }
    })
}

/// Reaps and forwards until the command is over, then ends everything else in the namespace.
fn supervise(
    command: Pid,
    signals: &SignalFd,
    reply: Option<&OwnedFd>,
    limits: &OwnLimits,
) -> Exit {
    let mut usage = Usage::default();
    let (status, with_it) = loop {
        let (status, count) = reap(command, &mut usage);
        if let Some(status) = status {
            break (status, count);
        }
        match next(signals, reply) {
            Ok(Event::Signal(signal)) if signal.ssi_signo == Signal::SIGCHLD as u32 => {}
            Ok(Event::Signal(signal)) => forward(command, signal.ssi_signo),
            // Nothing is said here: the agent is gone.
            Ok(Event::Said) | Err(_) => break (ExitStatus::Signal(libc::SIGKILL), 0),
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
