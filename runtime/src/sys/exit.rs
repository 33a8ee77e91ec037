//! Ending a forked process.

/// Ends this process without running destructors or `atexit` handlers, which are the parent's to run (`_exit(2)`).
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes no pointer and does not return.
    unsafe { libc::_exit(code) }
}
