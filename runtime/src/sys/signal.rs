//! Signal dispositions.

/// Sets every signal's disposition to its default and unblocks all of them, so that a container's command starts as
/// if from a fresh login (Rust's runtime ignores SIGPIPE, a parent may have ignored SIGINT).
pub(crate) fn reset_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL installs no handler. Numbers the C library keeps for itself, SIGKILL and SIGSTOP are
        // refused with EINVAL, which changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
}
