//! Writes the events of a job to its spool, and says so.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd as _, OwnedFd};

use protocol::Event;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::log::Chunk;
use crate::sink::Sink;

/// One event a line. Output is in the spool already when a sink hears of it.
#[derive(Debug, Default)]
pub struct Spooled;

impl Sink for Spooled {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, event)?;
        out.write_all(b"\n")
    }

    fn log(&mut self, _chunk: &Chunk, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// A file, and a pipe to who wants to know that there is something new in it or in the logs.
#[derive(Debug)]
pub struct News {
    file: File,
    pipe: OwnedFd,
}

impl News {
    /// Tells on standard output.
    ///
    /// # Errors
    /// When that cannot be used.
    pub fn of(file: File) -> io::Result<Self> {
        let pipe = io::stdout().as_fd().try_clone_to_owned()?;
        // Whoever has not read yet what was told before need not be told again.
        fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
        Ok(Self { file, pipe })
    }
}

impl Write for News {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    /// Called behind everything that was written or shown.
    fn flush(&mut self) -> io::Result<()> {
        // A full pipe has told, and a closed one has nobody to hear: the daemon looks by itself now and then.
        let _ = rustix::io::write(&self.pipe, b"\n");
        Ok(())
    }
}

/// Tells the daemon that there is something new, as [`News`] does.
pub fn poke() {
    let _ = rustix::io::write(io::stdout().as_fd(), b"\n");
}
