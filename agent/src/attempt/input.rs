//! What the daemon tells the process of a job: first what to do, later to stop.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use protocol::service::Assignment;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

/// Longest first line, bytes.
const LONGEST: usize = 64 << 20;

/// What a job's process has to know. Secrets are in it: it goes through a pipe and never to a disk.
#[derive(Debug, Serialize, Deserialize)]
pub struct Input {
    /// The job.
    pub assignment: Assignment,
    /// Its spool, which exists.
    pub directory: PathBuf,
    /// The daemon's process, without which the job's does not live.
    pub daemon: u32,
}

/// What the daemon wants of a job that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As a user who cancels: steps may end in their grace period.
    Cancel,
    /// Kill everything.
    Abort,
}

impl Order {
    /// The word on the pipe.
    #[must_use]
    pub const fn line(self) -> &'static [u8] {
        match self {
            Self::Cancel => b"cancel\n",
            Self::Abort => b"abort\n",
        }
    }
}

/// With what a line begins that is the answer to a question of the job's, a [`CacheReply`](crate::caches::CacheReply).
pub const ANSWER: &str = "cache ";

/// What came from the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// What it wants of the job.
    Order(Order),
    /// What it answers.
    Answer(String),
}

/// What came cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It cannot be read.
    #[error("failed to read the job from standard input: {0}")]
    Read(#[source] io::Error),
    /// It ends early, or is too long.
    #[error("standard input has no job: `agent start` is what calls this command")]
    NoJob,
    /// It is no job.
    #[error("failed to understand the job on standard input: {0}")]
    Parse(#[source] serde_json::Error),
}

/// The pipe from the daemon.
#[derive(Debug)]
pub struct Orders {
    pipe: File,
    buffer: Vec<u8>,
    /// What [`Self::peek`] has seen.
    seen: Option<Order>,
}

impl Orders {
    /// Takes standard input, and the first line of it.
    ///
    /// # Errors
    /// See [`InputError`].
    pub fn open() -> Result<(Input, Self), InputError> {
        let pipe = io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(InputError::Read)?;
        let mut orders = Self {
            pipe: pipe.into(),
            buffer: Vec::new(),
            seen: None,
        };
        let line = orders
            .line()
            .map_err(InputError::Read)?
            .ok_or(InputError::NoJob)?;
        let input = serde_json::from_slice(&line).map_err(InputError::Parse)?;
        Ok((input, orders))
    }

    /// What has been ordered by now, without waiting; it stays to be waited for. A pipe that is closed orders to abort: the
    /// daemon is gone.
    pub fn peek(&mut self) -> Option<Order> {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let is_there = self.buffer.contains(&b'\n')
            || matches!(
                poll(&mut [PollFd::new(&self.pipe, PollFlags::IN)], Some(&now)),
                Ok(1..)
            );
        if self.seen.is_none() && is_there {
            // Nobody has asked anything yet.
            if let Heard::Order(order) = self.wait() {
                self.seen = Some(order);
            }
        }
        self.seen
    }

    /// Waits for what comes next.
    pub fn wait(&mut self) -> Heard {
        if let Some(order) = self.seen.take() {
            return Heard::Order(order);
        }
        match self.line() {
            Ok(Some(line)) if line == b"cancel" => Heard::Order(Order::Cancel),
            Ok(Some(line)) if line.starts_with(ANSWER.as_bytes()) => {
                Heard::Answer(String::from_utf8_lossy(&line[ANSWER.len()..]).into_owned())
            }
            _ => Heard::Order(Order::Abort),
        }
    }

    /// The next line without its end; `None` at the end of the pipe.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            let found = self.buffer[searched..]
                .iter()
                .position(|byte| *byte == b'\n');
            if let Some(at) = found.map(|at| searched + at) {
                let mut line: Vec<u8> = self.buffer.drain(..=at).collect();
                line.pop();
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            if searched > LONGEST {
                return Ok(None);
            }
            let mut piece = [0; 64 << 10];
            match self.pipe.read(&mut piece) {
                Ok(0) => return Ok(None),
                Ok(count) => self.buffer.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
