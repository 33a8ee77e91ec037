//! The thread that carries one step's output from its pipe to the spool and the sink.

use std::io::{self, PipeReader, PipeWriter};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::sync::oneshot;

use super::{Chunk, Spool, SpoolError, StepId};
use crate::sink::Queue;

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

/// A step's output on its way. Ends when every writer has closed the pipe.
#[derive(Debug)]
pub struct Stream {
    done: oneshot::Receiver<Result<(), StreamError>>,
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
    /// The pipe cannot be read.
    #[error("failed to read the step's output: {0}")]
    Read(#[source] io::Error),
    /// The spool cannot be written.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The thread panicked, which is a bug.
    #[error("the log thread ended early")]
    Lost,
}

impl Stream {
    /// Starts to carry what comes out of `pipe`.
    pub fn start(
        pipe: PipeReader,
        spool: Spool,
        queue: Queue,
        step: Arc<StepId>,
    ) -> Result<Self, StreamError> {
        // Fewer wake-ups for a step that writes a lot; the default of 64 KiB works as well.
        if let Err(error) = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_SIZE) {
            tracing::debug!(%error, "the log pipe keeps its size");
        }
        let (over, open) = io::pipe().map_err(StreamError::Pipe)?;
        let (sender, done) = oneshot::channel();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                let result = carry(&pipe, &over, spool, &queue, &step);
                // Nobody waits for it when the run was abandoned.
                let _ = sender.send(result);
            })
            .map_err(StreamError::Thread)?;
        Ok(Self {
            done,
            open: Some(open),
        })
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

fn carry(
    pipe: &PipeReader,
    over: &PipeReader,
    mut spool: Spool,
    queue: &Queue,
    step: &Arc<StepId>,
) -> Result<(), StreamError> {
    rustix::io::ioctl_fionbio(pipe, true).map_err(|errno| StreamError::Read(errno.into()))?;
    let mut buffer = queue.buffer(READ_SIZE);
    let mut is_over = false;
    loop {
        buffer.clear();
        match rustix::io::read(pipe, spare_capacity(&mut buffer)) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(Errno::AGAIN) if is_over => return Ok(()),
            Err(Errno::AGAIN) => {
                is_over = wait(pipe, over).map_err(StreamError::Read)?;
                continue;
            }
            Err(Errno::INTR) => continue,
            Err(error) => return Err(StreamError::Read(error.into())),
        }
        let offset = spool.append(&buffer)?;
        let bytes = if buffer.len() <= COPY_LIMIT {
            buffer.clone()
        } else {
            std::mem::replace(&mut buffer, queue.buffer(READ_SIZE))
        };
        let is_small = bytes.len() < COPY_LIMIT;
        queue.push_log(Chunk {
            step: Arc::clone(step),
            offset,
            bytes,
        });
        if is_small {
            lull(pipe);
        }
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

    #[tokio::test]
    async fn a_writer_that_outlives_the_step_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let spool = Spool::create(&log).unwrap();
        let step = Arc::new(StepId {
            job: "job".to_owned(),
            step: "step".to_owned(),
            index: 0,
        });
        // Whoever the step has given its output to holds this end.
        let (pipe, mut elsewhere) = io::pipe().unwrap();
        let mut stream = Stream::start(pipe, spool, Queue::default(), step).unwrap();
        elsewhere.write_all(b"last words\n").unwrap();
        stream.close();
        stream.finished().await.unwrap();
        assert_eq!(std::fs::read(log).unwrap(), b"last words\n");
        drop(elsewhere);
    }
}
