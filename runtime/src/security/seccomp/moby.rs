//! The default seccomp profile of moby, as data.
//!
//! Transcribed from `seccomp/default.json` of the repository `moby/profiles` (for Linux 6.13; the lists as of commit
//! 614a5c2, the families of `socket` as of 02e898b; copyright the Moby authors, Apache License 2.0), without the names
//! that only 32-bit or other architectures have. Nothing is added here and nothing left out: what Slipway does
//! differently is in [`profile`](super::profile).
//!
//! Moby allows `ptrace` and `process_vm_*` from Linux 4.8 on only. The runtime needs a newer kernel than that anyway.

use std::ops::Deref;

use linux_raw_sys::general::*;
use rustix::thread::CapabilitySet;

use super::action::Action;
use super::rule::{Check, Condition};

/// Packs a list of system call numbers, which `rustfmt` would put on a line each, with their names.
macro_rules! numbers {
    ($($number:ident)*) => {
        Calls { numbers: &[$($number),*], names: &[$(stringify!($number)),*] }
    };
}

/// System calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calls {
    numbers: &'static [u32],
    /// In the same order, each behind `__NR_`.
    names: &'static [&'static str],
}

impl Calls {
    /// Each with its name.
    pub(super) fn named(self) -> impl Iterator<Item = (&'static str, u32)> {
        let names = self
            .names
            .iter()
            .map(|name| name.trim_start_matches("__NR_"));
        names.zip(self.numbers.iter().copied())
    }
}

impl Deref for Calls {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        self.numbers
    }
}

impl IntoIterator for Calls {
    type Item = &'static u32;
    type IntoIter = std::slice::Iter<'static, u32>;

    fn into_iter(self) -> Self::IntoIter {
        self.numbers.iter()
    }
}

/// System calls that a capability brings with it.
#[derive(Debug)]
pub(super) struct Gate {
    /// The capability.
    pub(super) capability: CapabilitySet,
    /// What is allowed with it, whatever the arguments.
    pub(super) numbers: Calls,
}

/// Allowed with any arguments, on every architecture.
#[rustfmt::skip]
pub(super) const ALLOWED: Calls = numbers! {
    __NR_accept __NR_accept4 __NR_adjtimex __NR_bind __NR_brk __NR_cachestat __NR_capget __NR_capset __NR_chdir
    __NR_clock_adjtime __NR_clock_getres __NR_clock_gettime __NR_clock_nanosleep __NR_close __NR_close_range
    __NR_connect __NR_copy_file_range __NR_dup __NR_dup3 __NR_epoll_create1 __NR_epoll_ctl __NR_epoll_pwait
    __NR_epoll_pwait2 __NR_eventfd2 __NR_execve __NR_execveat __NR_exit __NR_exit_group __NR_faccessat
    __NR_faccessat2 __NR_fadvise64 __NR_fallocate __NR_fanotify_mark __NR_fchdir __NR_fchmod __NR_fchmodat
    __NR_fchmodat2 __NR_fchown __NR_fchownat __NR_fcntl __NR_fdatasync __NR_fgetxattr __NR_flistxattr __NR_flock
    __NR_fremovexattr __NR_fsetxattr __NR_fstat __NR_fstatfs __NR_fsync __NR_ftruncate __NR_futex
    __NR_futex_requeue __NR_futex_wait __NR_futex_waitv __NR_futex_wake __NR_get_robust_list __NR_getcpu
    __NR_getcwd __NR_getdents64 __NR_getegid __NR_geteuid __NR_getgid __NR_getgroups __NR_getitimer
    __NR_getpeername __NR_getpgid __NR_getpid __NR_getppid __NR_getpriority __NR_getrandom __NR_getresgid
    __NR_getresuid __NR_getrlimit __NR_getrusage __NR_getsid __NR_getsockname __NR_getsockopt __NR_gettid
    __NR_gettimeofday __NR_getuid __NR_getxattr __NR_getxattrat __NR_inotify_add_watch __NR_inotify_init1
    __NR_inotify_rm_watch __NR_io_cancel __NR_io_destroy __NR_io_getevents __NR_io_pgetevents __NR_io_setup
    __NR_io_submit __NR_ioctl __NR_ioprio_get __NR_ioprio_set __NR_kill __NR_landlock_add_rule
    __NR_landlock_create_ruleset __NR_landlock_restrict_self __NR_lgetxattr __NR_linkat __NR_listen __NR_listmount
    __NR_listxattr __NR_listxattrat __NR_llistxattr __NR_lremovexattr __NR_lseek __NR_lsetxattr __NR_madvise
    __NR_map_shadow_stack __NR_membarrier __NR_memfd_create __NR_memfd_secret __NR_mincore __NR_mkdirat
    __NR_mknodat __NR_mlock __NR_mlock2 __NR_mlockall __NR_mmap __NR_mprotect __NR_mq_getsetattr __NR_mq_notify
    __NR_mq_open __NR_mq_timedreceive __NR_mq_timedsend __NR_mq_unlink __NR_mremap __NR_mseal __NR_msgctl
    __NR_msgget __NR_msgrcv __NR_msgsnd __NR_msync __NR_munlock __NR_munlockall __NR_munmap __NR_name_to_handle_at
    __NR_nanosleep __NR_newfstatat __NR_openat __NR_openat2 __NR_pidfd_open __NR_pidfd_send_signal __NR_pipe2
    __NR_pkey_alloc __NR_pkey_free __NR_pkey_mprotect __NR_ppoll __NR_prctl __NR_pread64 __NR_preadv __NR_preadv2
    __NR_prlimit64 __NR_process_mrelease __NR_process_vm_readv __NR_process_vm_writev __NR_pselect6 __NR_ptrace
    __NR_pwrite64 __NR_pwritev __NR_pwritev2 __NR_read __NR_readahead __NR_readlinkat __NR_readv __NR_recvfrom
    __NR_recvmmsg __NR_recvmsg __NR_remap_file_pages __NR_removexattr __NR_removexattrat __NR_renameat
    __NR_renameat2 __NR_restart_syscall __NR_rseq __NR_rt_sigaction __NR_rt_sigpending __NR_rt_sigprocmask
    __NR_rt_sigqueueinfo __NR_rt_sigreturn __NR_rt_sigsuspend __NR_rt_sigtimedwait __NR_rt_tgsigqueueinfo
    __NR_sched_get_priority_max __NR_sched_get_priority_min __NR_sched_getaffinity __NR_sched_getattr
    __NR_sched_getparam __NR_sched_getscheduler __NR_sched_rr_get_interval __NR_sched_setaffinity
    __NR_sched_setattr __NR_sched_setparam __NR_sched_setscheduler __NR_sched_yield __NR_seccomp __NR_semctl
    __NR_semget __NR_semop __NR_semtimedop __NR_sendfile __NR_sendmmsg __NR_sendmsg __NR_sendto
    __NR_set_robust_list __NR_set_tid_address __NR_setfsgid __NR_setfsuid __NR_setgid __NR_setgroups __NR_setitimer
    __NR_setpgid __NR_setpriority __NR_setregid __NR_setresgid __NR_setresuid __NR_setreuid __NR_setrlimit
    __NR_setsid __NR_setsockopt __NR_setuid __NR_setxattr __NR_setxattrat __NR_shmat __NR_shmctl __NR_shmdt
    __NR_shmget __NR_shutdown __NR_sigaltstack __NR_signalfd4 __NR_socketpair __NR_splice __NR_statfs
    __NR_statmount __NR_statx __NR_symlinkat __NR_sync __NR_sync_file_range __NR_syncfs __NR_sysinfo __NR_tee
    __NR_tgkill __NR_timer_create __NR_timer_delete __NR_timer_getoverrun __NR_timer_gettime __NR_timer_settime
    __NR_timerfd_create __NR_timerfd_gettime __NR_timerfd_settime __NR_times __NR_tkill __NR_truncate __NR_umask
    __NR_uname __NR_unlinkat __NR_utimensat __NR_vmsplice __NR_wait4 __NR_waitid __NR_write __NR_writev
};

/// Allowed with any arguments, where they exist: x86-64 kept the calls that newer architectures never had.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
pub(super) const ALLOWED_HERE: Calls = numbers! {
    __NR_access __NR_alarm __NR_arch_prctl __NR_chmod __NR_chown __NR_creat __NR_dup2 __NR_epoll_create
    __NR_epoll_ctl_old __NR_epoll_wait __NR_epoll_wait_old __NR_eventfd __NR_fork __NR_futimesat
    __NR_get_thread_area __NR_getdents __NR_getpgrp __NR_inotify_init __NR_lchown __NR_link __NR_lstat __NR_mkdir
    __NR_mknod __NR_modify_ldt __NR_open __NR_pause __NR_pipe __NR_poll __NR_readlink __NR_rename __NR_rmdir
    __NR_select __NR_set_thread_area __NR_signalfd __NR_stat __NR_symlink __NR_time __NR_unlink __NR_uretprobe
    __NR_utime __NR_utimes __NR_vfork
};

/// Allowed with any arguments, where they exist: 64-bit Arm has none of its own.
#[cfg(target_arch = "aarch64")]
pub(super) const ALLOWED_HERE: Calls = numbers! {};

/// Allowed by their arguments, or answered with a lie.
pub(super) const CHECKED: Calls = numbers! { __NR_clone __NR_clone3 __NR_personality __NR_socket };

/// Allowed when the container has the capability.
pub(super) const GATES: &[Gate] = &[
    Gate {
        capability: CapabilitySet::DAC_READ_SEARCH,
        numbers: numbers! { __NR_open_by_handle_at },
    },
    Gate {
        capability: CapabilitySet::SYS_ADMIN,
        numbers: numbers! {
            __NR_bpf __NR_clone __NR_clone3 __NR_fanotify_init __NR_fsconfig __NR_fsmount __NR_fsopen __NR_fspick
            __NR_lookup_dcookie __NR_lsm_get_self_attr __NR_lsm_list_modules __NR_lsm_set_self_attr __NR_mount
            __NR_mount_setattr __NR_move_mount __NR_open_tree __NR_perf_event_open __NR_quotactl __NR_quotactl_fd
            __NR_setdomainname __NR_sethostname __NR_setns __NR_syslog __NR_umount2 __NR_unshare
        },
    },
    Gate {
        capability: CapabilitySet::SYS_BOOT,
        numbers: numbers! { __NR_reboot },
    },
    Gate {
        capability: CapabilitySet::SYS_CHROOT,
        numbers: numbers! { __NR_chroot },
    },
    Gate {
        capability: CapabilitySet::SYS_MODULE,
        numbers: numbers! { __NR_delete_module __NR_init_module __NR_finit_module },
    },
    Gate {
        capability: CapabilitySet::SYS_PACCT,
        numbers: numbers! { __NR_acct },
    },
    Gate {
        capability: CapabilitySet::SYS_PTRACE,
        numbers: numbers! {
            __NR_kcmp __NR_pidfd_getfd __NR_process_madvise __NR_process_vm_readv __NR_process_vm_writev
            __NR_ptrace
        },
    },
    #[cfg(target_arch = "x86_64")]
    Gate {
        capability: CapabilitySet::SYS_RAWIO,
        numbers: numbers! { __NR_iopl __NR_ioperm },
    },
    Gate {
        capability: CapabilitySet::SYS_TIME,
        numbers: numbers! { __NR_settimeofday __NR_clock_settime },
    },
    Gate {
        capability: CapabilitySet::SYS_TTY_CONFIG,
        numbers: numbers! { __NR_vhangup },
    },
    Gate {
        capability: CapabilitySet::SYS_NICE,
        numbers: numbers! { __NR_get_mempolicy __NR_mbind __NR_set_mempolicy __NR_set_mempolicy_home_node },
    },
    Gate {
        capability: CapabilitySet::SYSLOG,
        numbers: numbers! { __NR_syslog },
    },
    Gate {
        capability: CapabilitySet::BPF,
        numbers: numbers! { __NR_bpf },
    },
    Gate {
        capability: CapabilitySet::PERFMON,
        numbers: numbers! { __NR_perf_event_open },
    },
];

/// `socket(2)`: the families that moby knows, without `AF_VSOCK` (40), which reaches the hypervisor past every network
/// namespace, `AF_ALG` (38), the kernel's cryptography, and families that nobody has used for years.
///
/// Moby compares all 64 bits. The kernel reads the family as an `int`, and so does this check.
pub(super) const SOCKET: Check = Check {
    argument: 0,
    condition: Condition::LowHalfWithin(&[
        (0, 11),
        (13, 18),
        (21, 22),
        (24, 24),
        (26, 33),
        (35, 36),
        (39, 39),
        (41, 45),
    ]),
    met: Action::Allow,
    unmet: Action::NotPermitted,
};

/// `personality(2)`: `PER_LINUX`, `PER_LINUX32`, `UNAME26`, both of these, and the question what it is (all ones).
///
/// Moby compares all 64 bits. The kernel reads an `unsigned int`, and so does this check: the C library's
/// `personality(-1)` sets the upper half too.
pub(super) const PERSONALITY: Check = Check {
    argument: 0,
    condition: Condition::LowHalfWithin(&[
        (0, 0),
        (8, 8),
        (0x2_0000, 0x2_0000),
        (0x2_0008, 0x2_0008),
        (u32::MAX, u32::MAX),
    ]),
    met: Action::Allow,
    unmet: Action::NotPermitted,
};

/// `clone(2)` without `CAP_SYS_ADMIN`: no new namespace. (`CLONE_NEWTIME` is not a flag of `clone`, only of `clone3`
/// and `unshare`.)
pub(super) const CLONE: Check = Check {
    argument: 0,
    condition: Condition::NoneOf(
        (CLONE_NEWNS
            | CLONE_NEWCGROUP
            | CLONE_NEWUTS
            | CLONE_NEWIPC
            | CLONE_NEWUSER
            | CLONE_NEWPID
            | CLONE_NEWNET) as u64,
    ),
    met: Action::Allow,
    unmet: Action::NotPermitted,
};
