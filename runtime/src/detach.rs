//! A process that goes on when whoever called it has got its shell back.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::sys::{CloneFlags, Cloned, SingleThreaded, clone3, close_all_but};

/// On which side of the parting this process is, with its end of a socket for [`crate::message`]s to the other.
#[derive(Debug)]
pub enum Detached {
    /// What was called, and returns to its caller.
    Caller(OwnedFd),
    /// What goes on, in a session of its own.
    Successor(OwnedFd),
}

/// Forks a successor. To be called before any other thread exists. Standard streams and the working directory are the
/// caller's still.
///
/// # Errors
/// When there is another thread, or no process can be had.
pub fn detach() -> io::Result<Detached> {
    let proof = SingleThreaded::prove()?;
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    match clone3(&proof, CloneFlags::NONE)? {
        Cloned::Parent { .. } => Ok(Detached::Caller(ours)),
        Cloned::Child => {
            drop(ours);
            // A process that was forked leads no group, so that it can.
            rustix::process::setsid()?;
            Ok(Detached::Successor(theirs))
        }
    }
}

/// Closes everything that whoever called this process had open and did not close, but its standard streams and `kept`. To be
/// called before this process has opened anything else that it goes on using.
///
/// # Errors
/// When there is another thread.
pub fn close_inherited(kept: &OwnedFd) -> io::Result<()> {
    let proof = SingleThreaded::prove()?;
    Ok(close_all_but(&proof, &[kept.as_fd()])?)
}

/// Lets go of the caller's standard streams and working directory.
///
/// # Errors
/// When `/dev/null` cannot be opened.
pub fn let_go() -> io::Result<()> {
    let_go_of_streams()?;
    Ok(rustix::process::chdir("/")?)
}

/// Lets go of standard streams that somebody else may want to see the end of.
pub(crate) fn let_go_of_streams() -> io::Result<()> {
    let null = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(rustix::stdio::dup2_stderr(&null)?)
}
