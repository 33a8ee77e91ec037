//! The container's terminal on its way to whoever wants it, and the streams of a container without one.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use runtime::container::{Streams, TerminalSize};
use runtime::message::hand_over;

use super::OciError;

/// The caller's own streams, or a terminal.
pub(super) fn streams(terminal: Option<TerminalSize>) -> Result<Streams, OciError> {
    if let Some(size) = terminal {
        return Ok(Streams::Terminal(size));
    }
    let failed = || OciError::system("duplicate the standard streams");
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(failed())?;
    let output = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .map_err(failed())?;
    let error = io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .map_err(failed())?;
    Ok(Streams::Files([input, output, error]))
}

/// Hands the outer end of a terminal to whoever listens on the console socket.
pub(super) fn pass_on(terminal: &OwnedFd, socket: &Path) -> Result<(), OciError> {
    let failed = OciError::disk("pass the terminal to", socket);
    // The bytes are a name for people; runc sends the terminal's path.
    hand_over(socket, b"/dev/ptmx", terminal.as_fd()).map_err(failed)
}
