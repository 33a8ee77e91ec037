//! A command's terminal: a pseudo-terminal (pty(7)) of the container's own `/dev/pts`, whose other end is sent out.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FsWord, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde::{Deserialize, Serialize};

use super::StartError;
use super::error::{During, refused};
use super::init::Stdio;

/// What a command's standard streams are.
#[derive(Debug)]
pub enum Streams {
    /// These become its descriptors 0 to 2.
    Files([OwnedFd; 3]),
    /// A terminal of the container's own, which controls the command's session.
    Terminal(TerminalSize),
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

impl TerminalSize {
    /// Tells a terminal that it has this size now, and with it the programs in its foreground (SIGWINCH).
    ///
    /// # Errors
    /// When it is none.
    pub fn apply(self, terminal: &OwnedFd) -> io::Result<()> {
        let size = Winsize {
            ws_row: self.rows,
            ws_col: self.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        Ok(tcsetwinsize(terminal, size)?)
    }
}

impl From<[OwnedFd; 3]> for Streams {
    fn from(files: [OwnedFd; 3]) -> Self {
        Self::Files(files)
    }
}

impl Streams {
    /// What they have open already.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Files(files) => files.iter().map(AsFd::as_fd).collect(),
            Self::Terminal(_) => Vec::new(),
        }
    }

    /// The size of the terminal, if it is to be one.
    pub(crate) const fn terminal(&self) -> Option<TerminalSize> {
        match self {
            Self::Files(_) => None,
            Self::Terminal(size) => Some(*size),
        }
    }
}

/// Both ends of a terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// What is written to it is typed, what is read from it was printed.
    pub(crate) outside: OwnedFd,
    /// The end for programs.
    pub(crate) inside: OwnedFd,
}

impl Terminal {
    /// Makes a terminal of what was opened as `/dev/pts/ptmx`. Its other end is asked for by descriptor: no name that
    /// somebody could change is looked at.
    pub(crate) fn of(outside: OwnedFd, size: TerminalSize) -> Result<Self, StartError> {
        unlockpt(&outside).during("unlock the terminal")?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let inside = ioctl_tiocgptpeer(&outside, flags).during("open the terminal")?;
        size.apply(&outside).during("size the terminal")?;
        Ok(Self { outside, inside })
    }

    /// The same in the root directory of the calling process: a container that has run for a while, and whose root user may
    /// have put something else in the place of what we mounted.
    pub(crate) fn in_running_container(size: TerminalSize) -> Result<Self, StartError> {
        /// `DEVPTS_SUPER_MAGIC`, statfs(2).
        const DEVPTS: FsWord = 0x1cd1;
        let path = Path::new("/dev/pts/ptmx");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let strict = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let wrong = |errno| refused(path, "a terminal", errno);
        // Looked at before it is opened for use: opening another device could do something.
        let path_only = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let look = openat2(CWD, path, path_only, Mode::empty(), strict).map_err(wrong)?;
        if rustix::fs::fstatfs(&look).map_err(wrong)?.f_type != DEVPTS {
            return Err(wrong(Errno::NOTTY));
        }
        Self::of(
            openat2(CWD, path, flags, Mode::empty(), strict).map_err(wrong)?,
            size,
        )
    }

    /// The programs' end as a command's streams.
    pub(crate) fn stdio(&self) -> Result<Stdio, StartError> {
        let copy = || self.inside.try_clone().during("duplicate the terminal");
        Ok(Stdio {
            input: copy()?,
            output: copy()?,
            error: copy()?,
            is_terminal: true,
        })
    }
}
