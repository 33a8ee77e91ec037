//! Session keyrings (keyrings(7)).

use rustix::io::Errno;

use super::clone::last_errno;

/// Joins a new anonymous session keyring, so that a container does not see the keys of whoever started the agent.
///
/// # Errors
/// `ENOSYS` or `EPERM` where an outer sandbox forbids keyctl(2), `EDQUOT` when the user's keys are used up.
pub(crate) fn join_new_session_keyring() -> Result<(), Errno> {
    // SAFETY: KEYCTL_JOIN_SESSION_KEYRING reads one pointer, and null asks for an anonymous keyring.
    let key = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    };
    if key < 0 { Err(last_errno()) } else { Ok(()) }
}
