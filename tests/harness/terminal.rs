//! A terminal that a test sits at: what the agent does when somebody watches, and what keys do.

use std::fs::File;
use std::io::Write;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::normalise::normalise;

/// Tall enough that nothing these tests print scrolls away.
const ROWS: NonZero<u16> = NonZero::new(60).expect("not zero");
/// Wide enough for a line of theirs.
const COLUMNS: NonZero<u16> = NonZero::new(120).expect("not zero");

/// The test's end of a pseudo-terminal (pty(7)): what programs print comes out, what is written in is typed.
#[derive(Debug)]
pub(crate) struct Terminal(File);

impl Terminal {
    /// Makes one, with the end for programs.
    pub(crate) fn open() -> (Self, OwnedFd) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("open a pseudo-terminal");
        unlockpt(&master).expect("unlock the pseudo-terminal");
        let programs = ioctl_tiocgptpeer(&master, flags).expect("open the programs' end");
        let terminal = Self(master.into());
        terminal.resize(ROWS.get(), COLUMNS.get());
        (terminal, programs)
    }

    /// Gives it another size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.0, size).expect("size the pseudo-terminal");
    }

    /// Whether it echoes and waits for whole lines.
    pub(crate) fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.0)
            .expect("ask the pseudo-terminal")
            .local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// What comes out.
    pub(crate) fn output(&self) -> File {
        self.0.try_clone().expect("duplicate a descriptor")
    }

    /// Types.
    pub(crate) fn press(&self, keys: &[u8]) {
        (&self.0).write_all(keys).expect("type");
    }
}

/// What somebody sees who sits at the terminal these bytes came out of, without what differs from run to run.
pub(crate) fn screen(bytes: &[u8], root: &Path) -> String {
    let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
    terminal.process(bytes);
    normalise(&terminal.screen().contents(), root)
}
