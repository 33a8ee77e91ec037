//! Signals of every number, those without a name (`SIGRTMIN+3`) included, which nix and rustix leave out.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::signal::SigSet;
use rustix::io::Errno;
use rustix::process::Pid;

use super::clone::last_errno;

/// Raised by what a thread does itself. They cannot wait, and there is no sense in passing them on.
const FAULTS: [i32; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
];

/// What somebody outside may send to a container's command through its init: all that can be blocked and waited for.
pub(crate) fn forwardable_signals() -> SigSet {
    // SAFETY: sigset_t is plain data; all zeroes is a valid value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a value that outlives the call, which writes it.
    unsafe { libc::sigfillset(&raw mut set) };
    for fault in FAULTS {
        // SAFETY: as above.
        unsafe { libc::sigdelset(&raw mut set, fault) };
    }
    // SAFETY: sigfillset has initialised it.
    unsafe { SigSet::from_sigset_t_unchecked(set) }
}

/// Sends a signal to a process group by its leader (kill(2)).
///
/// # Errors
/// `ESRCH` when it is gone, `EINVAL` for a number that is no signal.
pub(crate) fn signal_group(leader: Pid, number: i32) -> Result<(), Errno> {
    // SAFETY: the call takes no pointer.
    match unsafe { libc::kill(-leader.as_raw_nonzero().get(), number) } {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

/// Sends a signal to the process that a process descriptor stands for (`pidfd_send_signal(2)`).
///
/// # Errors
/// `ESRCH` when it is gone, `EINVAL` for a number that is no signal.
pub(crate) fn signal_process(process: &OwnedFd, number: i32) -> Result<(), Errno> {
    // SAFETY: the third argument may be null: the kernel then fills in who sends the signal.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            number,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

/// Sets every signal's disposition to its default and unblocks all of them, so that a container's command starts as
/// if from a fresh login (Rust's runtime ignores SIGPIPE, a parent may have ignored SIGINT).
pub(crate) fn reset_signals() {
    // The kernel's own `struct sigaction` is a handler, flags, a restorer where there is one, and a mask; all zeros
    // are SIG_DFL on every architecture. The C library's function refuses the two signals it keeps for itself, which a
    // parent that used its posix_spawn(3) leaves ignored.
    let default = [0_u64; 8];
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the kernel reads at most 32 bytes of `default`, whose 64 outlive the call, and writes none, the third
        // argument being null. SIG_DFL installs no handler. SIGKILL and SIGSTOP are refused with EINVAL, which changes
        // nothing.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null::<u64>(),
                8_usize,
            )
        };
    }
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
}
