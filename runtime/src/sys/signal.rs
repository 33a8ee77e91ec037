//! Signal dispositions.

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
