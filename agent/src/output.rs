//! The agent's own standard output and standard error.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::FileType;

/// Columns of a terminal that does not tell.
const DEFAULT_WIDTH: usize = 80;

/// Standard output without Rust's line buffer, which would cut large writes at their last newline.
#[derive(Debug)]
pub(crate) struct Stdout {
    file: File,
}

impl Stdout {
    /// A descriptor of its own for standard output.
    pub(crate) fn open() -> io::Result<Self> {
        let file = io::stdout().as_fd().try_clone_to_owned()?.into();
        Ok(Self { file })
    }

    /// The same for standard error.
    pub(crate) fn errors() -> io::Result<Self> {
        let file = io::stderr().as_fd().try_clone_to_owned()?.into();
        Ok(Self { file })
    }

    /// Whether someone watches.
    pub(crate) fn is_terminal() -> bool {
        io::stdout().is_terminal()
    }

    /// Whether it goes to a terminal, a pipe or a socket, which somebody reads, and not to a file or a device.
    pub(crate) fn is_read() -> bool {
        let kind =
            rustix::fs::fstat(io::stdout()).map(|stat| FileType::from_raw_mode(stat.st_mode));
        Self::is_terminal() || matches!(kind, Ok(FileType::Fifo | FileType::Socket))
    }

    /// Columns of the terminal at this moment.
    pub(crate) fn width() -> usize {
        rustix::termios::tcgetwinsize(io::stdout()).map_or(DEFAULT_WIDTH, |size| {
            match size.ws_col {
                0 => DEFAULT_WIDTH,
                columns => columns.into(),
            }
        })
    }
}

impl Write for Stdout {
    /// Waits where the descriptor is non-blocking, which it is when whoever shares it made it so.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], None)?;
                }
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line to standard error; there is nobody to tell when that fails.
pub fn complain(line: impl std::fmt::Display) {
    // As one piece: others write to the same, and whoever reads it goes by lines.
    let _ = io::stderr()
        .lock()
        .write_all(format!("{line}\n").as_bytes());
}
