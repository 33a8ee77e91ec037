//! What a seccomp program can answer.

use linux_raw_sys::errno::{ENOSYS, EPERM};
use linux_raw_sys::ptrace::{SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS};

/// An answer to one system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// The kernel carries it out.
    Allow,
    /// It fails with `EPERM`.
    NotPermitted,
    /// It fails with `ENOSYS`, so that a C library falls back to an older call.
    NoSuchCall,
    /// The whole process dies of `SIGSYS`.
    KillProcess,
    /// This return value.
    Value(u32),
}

impl Action {
    /// The program's return value, as `seccomp(2)` defines it.
    #[must_use]
    pub const fn return_value(self) -> u32 {
        match self {
            Self::Allow => SECCOMP_RET_ALLOW,
            Self::NotPermitted => SECCOMP_RET_ERRNO | EPERM,
            Self::NoSuchCall => SECCOMP_RET_ERRNO | ENOSYS,
            Self::KillProcess => SECCOMP_RET_KILL_PROCESS,
            Self::Value(value) => value,
        }
    }
}
