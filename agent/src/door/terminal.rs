//! The agent's own terminal while a container's is on it.

use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, OwnedFd};

use runtime::container::TerminalSize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::DoorError;

/// Of a terminal that does not say.
const DEFAULT: TerminalSize = TerminalSize {
    rows: 24,
    columns: 80,
};

/// The size of whatever terminal the agent has.
pub(super) fn size() -> TerminalSize {
    let sizes = [tcgetwinsize(io::stdin()), tcgetwinsize(io::stdout())];
    let found = sizes
        .into_iter()
        .flatten()
        .find(|size| size.ws_row > 0 && size.ws_col > 0);
    found.map_or(DEFAULT, |size| TerminalSize {
        rows: size.ws_row,
        columns: size.ws_col,
    })
}

/// What programs are to take the container's terminal for.
pub(super) fn kind(own: impl Fn(&str) -> Option<String>) -> String {
    let own = own("TERM").filter(|kind| !kind.is_empty());
    own.unwrap_or_else(|| "xterm".to_owned())
}

/// The terminal on standard input, in raw mode: every key goes to the container, Ctrl-C included. Dropping it puts the
/// terminal back as it was.
#[derive(Debug)]
pub(super) struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    /// Takes it, if it is one.
    pub(super) fn take() -> Result<Option<Self>, DoorError> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let failed = || DoorError::system("take over the terminal");
        let raw = Self {
            terminal: stdin.as_fd().try_clone_to_owned().map_err(failed())?,
            before: tcgetattr(&stdin).map_err(DoorError::system("take over the terminal"))?,
        };
        raw.apply().map_err(failed())?;
        Ok(Some(raw))
    }

    /// Once more, when somebody else had the terminal meanwhile.
    pub(super) fn apply(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        Ok(tcsetattr(&self.terminal, OptionalActions::Drain, &raw)?)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}
