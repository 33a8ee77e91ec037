//! What differs between the architectures, beside the numbers of the calls.

#[cfg(target_arch = "aarch64")]
pub(super) use linux_raw_sys::ptrace::AUDIT_ARCH_AARCH64 as NATIVE;
#[cfg(target_arch = "x86_64")]
pub(super) use linux_raw_sys::ptrace::AUDIT_ARCH_X86_64 as NATIVE;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the seccomp profile knows the system calls of x86_64 and aarch64 only");

/// From this number on, a call is one of the x32 ABI (`__X32_SYSCALL_BIT`), which shares x86-64's audit architecture.
/// Some numbers mean another call there, so that a filter by plain numbers can be got around.
pub(super) const FIRST_FOREIGN: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0x4000_0000)
} else {
    None
};
