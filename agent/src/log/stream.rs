//! The thread that carries the output of a step or a service from its pipe to the spool, and a step's on to the sink.

use std::io::{self, PipeReader, PipeWriter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::sync::oneshot;

use super::{Outlet, Spool, SpoolError};
use crate::clock::milliseconds;
use crate::mask::{MaskFile, Masker, Masks};

/// Size asked for the pipe's buffer, bytes: what an unprivileged process may have (`/proc/sys/fs/pipe-max-size`).
const PIPE_SIZE: usize = 1 << 20;

/// Most bytes taken by one read.
const READ_SIZE: usize = 128 << 10;

/// A piece up to this size is copied into an allocation of its own size, so that a step that prints a byte at a time
/// does not hold 128 KiB for each.
pub(crate) const COPY_LIMIT: usize = 16 << 10;

/// How long small writes gather: less than anybody sees, more than enough for hundreds of lines.
const LULL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};

/// When a step wrote something last.
#[derive(Debug, Clone)]
pub struct Pulse {
    started: Instant,
    /// Milliseconds after that.
    last: Arc<AtomicU64>,
}

impl Pulse {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            last: Arc::new(AtomicU64::new(0)),
        }
    }

    fn beat(&self) {
        let passed = milliseconds(self.started.elapsed());
        self.last.store(passed, Ordering::Relaxed);
    }

    /// The time of the last output, of the start if there was none.
    #[must_use]
    pub fn last(&self) -> Instant {
        self.started + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

/// A step's output on its way, masked. Ends when every writer has closed the pipe.
#[derive(Debug)]
pub struct Stream {
    done: oneshot::Receiver<Result<(), StreamError>>,
    pulse: Pulse,
    /// Closed when the step is over.
    open: Option<PipeWriter>,
}

/// Why a step's output does not arrive.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// No pipe can be made.
    #[error("failed to make a pipe for the step's output: {0}")]
    Pipe(#[source] io::Error),
    /// No thread can be started.
    #[error("failed to start the log thread: {0}")]
    Thread(#[source] io::Error),
    /// The file of what is to be hidden cannot be kept open.
    #[error("failed to hold $SLIPWAY_MASK: {0}")]
    Mask(#[source] io::Error),
    /// The pipe cannot be read.
    #[error("failed to read the step's output: {0}")]
    Read(#[source] io::Error),
    /// The spool cannot be written.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The step writes more than is kept.
    #[error("the step's output is longer than {limit} bytes")]
    TooLong {
        /// What is kept.
        limit: u64,
    },
    /// The thread panicked, which is a bug.
    #[error("the log thread ended early")]
    Lost,
}

impl StreamError {
    /// The limit of a log that was reached, if it was that.
    #[must_use]
    pub const fn log_limit(&self) -> Option<u64> {
        match self {
            Self::TooLong { limit } => Some(*limit),
            _ => None,
        }
    }
}

impl Stream {
    /// Starts to carry what comes out of `pipe`, without what is to be masked.
    pub fn start(
        pipe: PipeReader,
        spool: Spool,
        outlet: Outlet,
        masks: Arc<Masks>,
        mask_file: Option<MaskFile>,
    ) -> Result<Self, StreamError> {
        // Fewer wake-ups for a step that writes a lot; the default of 64 KiB works as well.
        if let Err(error) = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_SIZE) {
            tracing::debug!(%error, "the log pipe keeps its size");
        }
        let (over, open) = io::pipe().map_err(StreamError::Pipe)?;
        let (sender, done) = oneshot::channel();
        let pulse = Pulse::new();
        let carrier = Carrier {
            pipe,
            over,
            spool,
            outlet,
            pulse: pulse.clone(),
            masker: Masker::new(masks),
            mask_file,
        };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                // Nobody waits for it when the run was abandoned.
                let _ = sender.send(carrier.run());
            })
            .map_err(StreamError::Thread)?;
        Ok(Self {
            done,
            pulse,
            open: Some(open),
        })
    }

    /// When output came last.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Says that no process of the step is left: what is in the pipe now is the rest of its output. Whoever else was
    /// given the other end of it (`SCM_RIGHTS`) is not waited for, and not heard.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// Waits for the end of the output: all of it is in the spool and in the queue then. An error may come earlier.
    /// Cancel safe, but not to be called again once it has returned.
    pub async fn finished(&mut self) -> Result<(), StreamError> {
        (&mut self.done).await.unwrap_or(Err(StreamError::Lost))
    }
}

/// What the thread works with.
struct Carrier {
    pipe: PipeReader,
    /// Closed when the step is over.
    over: PipeReader,
    spool: Spool,
    outlet: Outlet,
    pulse: Pulse,
    masker: Masker,
    mask_file: Option<MaskFile>,
}

impl Carrier {
    fn run(mut self) -> Result<(), StreamError> {
        let result = self.carry();
        // The last words: what was held back, after what was asked to be hidden at the very end.
        self.heed();
        let rest = self.masker.finish();
        result?;
        if !rest.is_empty() {
            self.deliver(rest)?;
        }
        Ok(())
    }

    fn carry(&mut self) -> Result<(), StreamError> {
        rustix::io::ioctl_fionbio(&self.pipe, true)
            .map_err(|errno| StreamError::Read(errno.into()))?;
        let mut buffer = self.outlet.buffer(READ_SIZE);
        let mut is_over = false;
        loop {
            buffer.clear();
            match rustix::io::read(&self.pipe, spare_capacity(&mut buffer)) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(Errno::AGAIN) if is_over => return Ok(()),
                Err(Errno::AGAIN) => {
                    is_over = wait(&self.pipe, &self.over).map_err(StreamError::Read)?;
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(error) => return Err(StreamError::Read(error.into())),
            }
            self.pulse.beat();
            self.heed();
            let is_small = buffer.len() < COPY_LIMIT;
            let bytes = if !self.masker.is_transparent() {
                self.masker.feed(&buffer)
            } else if buffer.len() <= COPY_LIMIT {
                buffer.clone()
            } else {
                std::mem::replace(&mut buffer, self.outlet.buffer(READ_SIZE))
            };
            if !bytes.is_empty() {
                self.deliver(bytes)?;
            }
            if is_small {
                lull(&self.pipe);
            }
        }
    }

    /// Learns what the step wants to be hidden.
    fn heed(&mut self) {
        let Some(file) = &mut self.mask_file else {
            return;
        };
        if let Some(problem) = file.heed(self.masker.masks()) {
            self.outlet.warn(&problem);
        }
    }

    /// Keeps and shows a piece, or as much of it as there is room for.
    fn deliver(&mut self, mut bytes: Vec<u8>) -> Result<(), StreamError> {
        let room = usize::try_from(self.spool.room()).unwrap_or(usize::MAX);
        let is_too_long = bytes.len() > room;
        bytes.truncate(room);
        if !bytes.is_empty() {
            let offset = self.spool.append(&bytes)?;
            self.outlet.deliver(offset, bytes);
        }
        if is_too_long {
            let limit = self.spool.most();
            return Err(StreamError::TooLong { limit });
        }
        Ok(())
    }
}

/// Waits until there is output, or an end of it, or the step is over; tells whether it is.
fn wait(pipe: &PipeReader, over: &PipeReader) -> io::Result<bool> {
    let mut fds = [
        PollFd::new(pipe, PollFlags::IN),
        PollFd::new(over, PollFlags::IN),
    ];
    loop {
        match poll(&mut fds, None) {
            Ok(_) => return Ok(!fds[1].revents().is_empty()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Lets small writes gather, so that a step that writes line by line does not wake this thread for each: asked for no
/// event, poll(2) returns early only when every writer has gone.
fn lull(pipe: &PipeReader) {
    // Whatever goes wrong here, the next read tells.
    let _ = poll(&mut [PollFd::new(pipe, PollFlags::empty())], Some(&LULL));
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::log::StepId;
    use crate::sink::Queue;

    #[tokio::test]
    async fn a_writer_that_outlives_the_step_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let spool = Spool::create(&log, u64::MAX).unwrap();
        let step = Arc::new(StepId {
            job: "job".to_owned(),
            step: "step".to_owned(),
            index: 0,
        });
        // Whoever the step has given its output to holds this end.
        let (pipe, mut elsewhere) = io::pipe().unwrap();
        let outlet = Outlet::Shown {
            queue: Queue::default(),
            step,
        };
        let mut stream = Stream::start(pipe, spool, outlet, Arc::default(), None).unwrap();
        elsewhere.write_all(b"last words\n").unwrap();
        stream.close();
        stream.finished().await.unwrap();
        assert_eq!(std::fs::read(log).unwrap(), b"last words\n");
        drop(elsewhere);
    }
}
