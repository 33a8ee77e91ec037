//! The end of a process with whoever waits for it.

use std::os::fd::{AsFd, AsRawFd as _};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use super::clone::last_errno;
use super::exit::exit_now;
use super::signal::reset_signals;

/// Has the kernel end the calling process with SIGIO once the other end of a socket is closed, which may have happened already:
/// then it does not return. Only for sockets whose other end never sends anything. All signals get their default disposition.
///
/// # Errors
/// Those of fcntl(2) and poll(2); the process goes on to its own end then.
pub(crate) fn end_with(socket: impl AsFd) -> Result<(), Errno> {
    reset_signals();
    let socket = socket.as_fd();
    let own = rustix::process::getpid().as_raw_nonzero().get();
    // SAFETY: F_SETOWN takes a number and no pointer.
    if unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETOWN, own) } != 0 {
        return Err(last_errno());
    }
    let asynchronous = OFlags::from_bits_retain(libc::O_ASYNC.cast_unsigned());
    fcntl_setfl(socket, fcntl_getfl(socket)? | asynchronous)?;
    let mut polled = [PollFd::new(&socket, PollFlags::empty())];
    poll(&mut polled, Some(&Timespec::default()))?;
    if polled[0].revents().contains(PollFlags::HUP) {
        exit_now(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};
    use rustix::net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
    };

    use super::*;

    #[test]
    fn a_process_ends_with_the_other_end_of_its_socket_and_not_before() {
        let pair = || {
            socketpair(
                AddressFamily::UNIX,
                SocketType::SEQPACKET,
                SocketFlags::CLOEXEC,
                None,
            )
            .unwrap()
        };
        let ((ours, theirs), (ready, told)) = (pair(), pair());
        // SAFETY: what the child calls until it ends are system calls, and nothing that allocates or locks.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                drop(ours);
                if end_with(&theirs).is_err() || send(&told, b"x", SendFlags::empty()).is_err() {
                    exit_now(1);
                }
                loop {
                    nix::unistd::pause();
                }
            }
            ForkResult::Parent { child } => {
                drop(theirs);
                recv(&ready, &mut [0; 1], RecvFlags::empty()).unwrap();
                let status = waitpid(child, Some(WaitPidFlag::WNOHANG)).unwrap();
                assert_eq!(status, WaitStatus::StillAlive);
                drop(ours);
                let status = waitpid(child, None).unwrap();
                let expected = WaitStatus::Signaled(child, nix::sys::signal::Signal::SIGIO, false);
                assert_eq!(status, expected);
            }
        }
    }
}
