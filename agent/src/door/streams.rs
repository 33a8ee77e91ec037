//! A container's streams on their way to and from the agent's own, byte for byte, a thread each: a terminal that stands
//! still holds up nobody else. What the command writes is kept in its log on the way.
//!
//! The agent's own descriptors never go into a container, since a program can open what it was given again
//! (`/proc/self/fd/0`) with more rights than it got: a file for writing, a terminal to read what is typed. Only a pipe on
//! standard input is handed on, which gives nothing away: the command reads from it what it wants and no more.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use runtime::container::{Streams as Inside, TerminalSize};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use tokio::sync::oneshot;

use super::log::{Log, Stream};
use super::{DoorError, terminal};
use crate::output::Stdout;

/// What a pipe holds and a read takes at most, bytes. Of a user's pipes the kernel lets 64 MiB be larger than usual
/// (`pipe-user-pages-soft`).
const CHUNK: usize = 256 << 10;

/// How a command's streams are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wiring {
    /// The command can read something.
    pub(super) interactive: bool,
    /// Its streams are a terminal of the container's.
    pub(super) terminal: bool,
    /// Nobody is there: what it writes goes to the log alone, and what it reads never comes.
    pub(super) detached: bool,
}

impl Wiring {
    /// Keys can only come from a terminal.
    pub(super) fn check(self) -> Result<(), DoorError> {
        let keys = self.interactive && self.terminal && !self.detached;
        if keys && !io::stdin().is_terminal() {
            return Err(DoorError::NoTerminal);
        }
        Ok(())
    }
}

/// The agent's side of a command's streams.
#[derive(Debug)]
pub(super) struct Streams {
    wiring: Wiring,
    log: Option<Arc<Log>>,
    outputs: Vec<oneshot::Receiver<io::Result<()>>>,
    /// The outer end of the command's terminal.
    terminal: Option<OwnedFd>,
    /// Kept open, so that whoever reads waits instead of coming to an end.
    _silent: Option<OwnedFd>,
}

impl Streams {
    /// Makes what the command gets, and starts to copy.
    pub(super) fn connect(
        wiring: Wiring,
        log: Option<Arc<Log>>,
    ) -> Result<(Self, Inside), DoorError> {
        let mut streams = Self {
            wiring,
            log,
            outputs: Vec::new(),
            terminal: None,
            _silent: None,
        };
        if wiring.terminal {
            return Ok((streams, Inside::Terminal(terminal::size())));
        }
        let input = match (wiring.interactive, wiring.detached) {
            (false, _) => nothing()?,
            (true, false) => input()?,
            (true, true) => {
                let (read, write) = pipe()?;
                streams._silent = Some(write);
                read
            }
        };
        let (out, output) = pipe()?;
        let (err, error) = pipe()?;
        streams.copy(out, Stream::Output)?;
        streams.copy(err, Stream::Error)?;
        Ok((streams, Inside::Files([input, output, error])))
    }

    /// Whether keys go from the agent's own terminal to the command's.
    pub(super) const fn has_our_terminal(&self) -> bool {
        self.terminal.is_some() && self.wiring.interactive && !self.wiring.detached
    }

    /// Tells the command's terminal, if it has one, that it has another size now.
    pub(super) fn resize(&self, size: TerminalSize) {
        if let Some(terminal) = &self.terminal
            && !self.wiring.detached
        {
            // One that is gone has no size.
            let _ = size.apply(terminal);
        }
    }

    /// Connects the outer end of the command's terminal.
    pub(super) fn attach(&mut self, terminal: OwnedFd) -> Result<(), DoorError> {
        let copy = || {
            let copy = terminal.try_clone();
            copy.map_err(DoorError::system("duplicate the terminal"))
        };
        self.copy(copy()?, Stream::Output)?;
        if self.wiring.interactive && !self.wiring.detached {
            let stdin = stdin()?;
            let to = copy()?;
            thread("input", move || feed(stdin.into(), to.into()))?;
        }
        self.terminal = Some(terminal);
        Ok(())
    }

    /// Waits until everything the command has written is where it belongs. To be called when it is over.
    pub(super) async fn drained(&mut self) -> io::Result<()> {
        while let Some(output) = self.outputs.last_mut() {
            // A thread that panicked has told so itself.
            let result = output.await.unwrap_or(Ok(()));
            self.outputs.pop();
            result?;
        }
        Ok(())
    }

    fn copy(&mut self, from: OwnedFd, stream: Stream) -> Result<(), DoorError> {
        let to = match (self.wiring.detached, stream) {
            (true, _) => None,
            (false, Stream::Output) => Some(Stdout::open()),
            (false, Stream::Error) => Some(Stdout::errors()),
        };
        let to = to.transpose();
        let to = to.map_err(DoorError::system("open the agent's output"))?;
        let log = self.log.clone();
        let (tell, done) = oneshot::channel();
        // An agent that ends does not listen.
        thread("output", move || {
            drop(tell.send(copy(from.into(), to, log, stream)));
        })?;
        self.outputs.push(done);
        Ok(())
    }
}

fn nothing() -> Result<OwnedFd, DoorError> {
    let null = File::open("/dev/null").map_err(DoorError::system("open /dev/null"))?;
    Ok(null.into())
}

fn pipe() -> Result<(OwnedFd, OwnedFd), DoorError> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(DoorError::system("make a pipe"))?;
    // A user who has many pipes keeps the usual size.
    let _ = fcntl_setpipe_size(&write, CHUNK);
    Ok((read, write))
}

/// Copies one of the command's outputs. When nobody reads ours any more, the command's is closed as well, so that it
/// learns of that as if there was nothing in between.
fn copy(
    mut from: File,
    mut to: Option<Stdout>,
    log: Option<Arc<Log>>,
    stream: Stream,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut buffer) {
            // A terminal that no program has any more (EIO).
            Ok(0) => return Ok(()),
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        if let Some(log) = &log {
            log.add(stream, &buffer[..read]);
        }
        if let Some(to) = &mut to
            && let Err(error) = to.write_all(&buffer[..read])
        {
            return match error.kind() {
                io::ErrorKind::BrokenPipe => Ok(()),
                // Of a terminal that is gone.
                _ if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Ok(()),
                _ => Err(error),
            };
        }
    }
}

fn stdin() -> Result<OwnedFd, DoorError> {
    let own = io::stdin().as_fd().try_clone_to_owned();
    own.map_err(DoorError::system("duplicate standard input"))
}

/// What the command reads: our standard input itself if it is a pipe, else a copy of what comes on it.
fn input() -> Result<OwnedFd, DoorError> {
    let own = stdin()?;
    let stat = rustix::fs::fstat(&own).map_err(DoorError::system("look at standard input"))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Fifo {
        return Ok(own);
    }
    let (read, write) = pipe()?;
    thread("input", move || feed(own.into(), write.into()))?;
    Ok(read)
}

/// Copies until there is no more, or nobody wants it.
fn feed(mut from: File, mut to: File) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) if to.write_all(&buffer[..read]).is_err() => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Whoever shares it made it non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if poll(&mut [PollFd::new(&from, PollFlags::IN)], None).is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "standard input is broken");
                return;
            }
        }
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), DoorError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(64 << 10)
        .spawn(work)
        .map(drop)
        .map_err(DoorError::system("start a thread"))
}
