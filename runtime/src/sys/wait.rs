//! `wait4(2)`: how a child ended, and what it and its own children consumed.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Pid;

use super::clone::last_errno;
use crate::container::{ExitStatus, Usage};

/// Waits for any child to end.
///
/// # Errors
/// `ECHILD` when there is none.
pub(crate) fn wait_any(block: bool) -> Result<Option<(Pid, ExitStatus, Usage)>, Errno> {
    loop {
        let found = wait_for_change(block)?;
        let Some((pid, status, usage)) = found else {
            return Ok(None);
        };
        if libc::WIFSTOPPED(status) {
            let_go(pid, libc::WSTOPSIG(status));
            continue;
        }
        let status = if libc::WIFSIGNALED(status) {
            ExitStatus::Signal(libc::WTERMSIG(status))
        } else {
            ExitStatus::Code(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX))
        };
        let usage = Usage {
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
            // getrusage(2): kibibytes.
            max_rss: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
            // Blocks of 512 bytes, whatever the device's are.
            read: Some(u64::try_from(usage.ru_inblock).unwrap_or(0) * 512),
            written: Some(u64::try_from(usage.ru_oublock).unwrap_or(0) * 512),
            ..Usage::default()
        };
        return Ok(Some((pid, status, usage)));
    }
}

/// Lets a child go on that has made us its tracer (`PTRACE_TRACEME`) and stopped, with the signal it stopped for: the
/// check for a debugger that some programs make finds none.
fn let_go(pid: Pid, signal: i32) {
    // A stop for its exec is no signal to pass on.
    let signal = if signal == libc::SIGTRAP { 0 } else { signal };
    // SAFETY: PTRACE_DETACH takes a process id and a signal, no pointer to memory of ours.
    unsafe {
        libc::ptrace(
            libc::PTRACE_DETACH,
            pid.as_raw_nonzero().get(),
            std::ptr::null_mut::<libc::c_void>(),
            i64::from(signal) as *mut libc::c_void,
        )
    };
}

/// The raw answer of `wait4(2)`.
fn wait_for_change(block: bool) -> Result<Option<(Pid, i32, libc::rusage)>, Errno> {
    let mut status = 0;
    // SAFETY: rusage is plain data; all zeroes is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let options = if block { 0 } else { libc::WNOHANG };
    let pid = loop {
        // SAFETY: both pointers are to values that outlive the call.
        let pid = unsafe { libc::wait4(-1, &raw mut status, options, &raw mut usage) };
        if pid >= 0 {
            break pid;
        }
        match last_errno() {
            Errno::INTR => {}
            errno => return Err(errno),
        }
    };
    Ok(Pid::from_raw(pid).map(|pid| (pid, status, usage)))
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec.unsigned_abs())
        + Duration::from_micros(time.tv_usec.unsigned_abs())
}
