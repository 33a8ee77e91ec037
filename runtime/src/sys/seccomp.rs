//! `seccomp(2)`.

use rustix::io::Errno;

use super::clone::last_errno;
use crate::security::seccomp::Instruction;

/// Installs a classic BPF program on this thread. It cannot be taken off again. Needs `no_new_privs`.
///
/// # Errors
/// `EINVAL` for a program that the kernel's verifier refuses or that is longer than 4,096 instructions.
pub(crate) fn install_filter(program: &[Instruction]) -> Result<(), Errno> {
    let mut program: Vec<_> = program
        .iter()
        .map(|instruction| libc::sock_filter {
            code: instruction.code,
            jt: instruction.jt,
            jf: instruction.jf,
            k: instruction.k,
        })
        .collect();
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| Errno::INVAL)?,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: `filter` points to `len` instructions that outlive the call; the kernel copies and verifies them and
    // never writes through the pointer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const filter,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}
