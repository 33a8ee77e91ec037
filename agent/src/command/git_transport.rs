//! `agent git-transport`: one transfer from a repository's host, in a process of its own. See [`repository::Transport`].

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use repository::Transport;
use runtime::registry::check_authorities;

use super::CommandError;
use super::error::starting;
use crate::exit_code::ExitCode;

/// Makes the transfer that standard input says.
pub fn execute() -> Result<ExitCode, CommandError> {
    check_authorities()
        .map_err(io::Error::other)
        .and_then(|()| repository::serve_transport())
        .map_err(starting("make the transfer"))?;
    Ok(ExitCode::Success)
}

/// Transfers by this program.
pub(super) fn transport() -> Transport {
    Transport::new(|| {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("agent").arg("git-transport");
        command
    })
}
