//! The compiled program against the lists it was made from, and against what each argument may be.

use std::mem::{align_of, offset_of, size_of};

use linux_raw_sys::general::*;
use rustix::thread::CapabilitySet;

use super::arch::NATIVE;
use super::interpreter::{Call, Outcome, check, run};
use super::{Instruction, Options, Program, moby};

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const KILL: u32 = 0x8000_0000;

fn default_program() -> Program {
    Program::default_profile(&Options::default())
}

fn call(program: &Program, number: u32, arguments: [u64; 6]) -> Outcome {
    run(
        program.instructions(),
        &Call {
            number,
            architecture: NATIVE,
            arguments,
        },
    )
}

fn answer(program: &Program, number: u32, arguments: [u64; 6]) -> u32 {
    call(program, number, arguments).answer
}

/// Every number that some ABI could give meaning to, and those at the edges of all others.
fn numbers() -> impl Iterator<Item = u32> {
    (0..1024).chain(0x4000_0000 - 2..0x4000_0000 + 1024).chain([
        0x7fff_ffff,
        0x8000_0000,
        0xc000_0000,
        u32::MAX - 1,
        u32::MAX,
    ])
}

#[test]
fn every_number_gets_the_answer_of_the_lists() {
    let program = default_program();
    let checked = [__NR_clone, __NR_ioctl, __NR_personality, __NR_socket];
    for number in numbers().filter(|number| !checked.contains(number)) {
        let listed = moby::ALLOWED.contains(&number) || moby::ALLOWED_HERE.contains(&number);
        let expected = if listed || number == __NR_chroot {
            ALLOW
        } else if number == __NR_clone3 {
            ENOSYS
        } else if cfg!(target_arch = "x86_64") && number >= 0x4000_0000 {
            EPERM
        } else if number > __NR_removexattrat {
            ENOSYS
        } else {
            EPERM
        };
        for arguments in [[0; 6], [u64::MAX; 6]] {
            assert_eq!(
                answer(&program, number, arguments),
                expected,
                "call {number}"
            );
        }
    }
}

#[test]
fn an_allowed_call_is_answered_without_looking_at_its_arguments() {
    let program = default_program();
    for &number in moby::ALLOWED.iter().chain(moby::ALLOWED_HERE) {
        let outcome = call(&program, number, [0; 6]);
        assert_eq!(
            outcome.looked_at_arguments,
            number == __NR_ioctl,
            "call {number}"
        );
    }
}

#[test]
fn calls_that_reach_past_the_container_are_refused() {
    let program = default_program();
    let refused = [
        (__NR_add_key, "add_key"),
        (__NR_bpf, "bpf"),
        (__NR_delete_module, "delete_module"),
        (__NR_finit_module, "finit_module"),
        (__NR_fsmount, "fsmount"),
        (__NR_fsopen, "fsopen"),
        (__NR_init_module, "init_module"),
        (__NR_io_uring_enter, "io_uring_enter"),
        (__NR_io_uring_register, "io_uring_register"),
        (__NR_io_uring_setup, "io_uring_setup"),
        (__NR_kexec_file_load, "kexec_file_load"),
        (__NR_kexec_load, "kexec_load"),
        (__NR_keyctl, "keyctl"),
        (__NR_mount, "mount"),
        (__NR_mount_setattr, "mount_setattr"),
        (__NR_move_mount, "move_mount"),
        (__NR_open_by_handle_at, "open_by_handle_at"),
        (__NR_open_tree, "open_tree"),
        (__NR_perf_event_open, "perf_event_open"),
        (__NR_pivot_root, "pivot_root"),
        (__NR_reboot, "reboot"),
        (__NR_request_key, "request_key"),
        (__NR_setns, "setns"),
        (__NR_swapon, "swapon"),
        (__NR_syslog, "syslog"),
        (__NR_umount2, "umount2"),
        (__NR_unshare, "unshare"),
        (__NR_userfaultfd, "userfaultfd"),
    ];
    for (number, name) in refused {
        assert_eq!(answer(&program, number, [0; 6]), EPERM, "{name}");
    }
}

#[test]
fn clone_may_make_threads_and_processes_but_no_namespaces() {
    let program = default_program();
    let thread = CLONE_VM
        | CLONE_FS
        | CLONE_FILES
        | CLONE_SIGHAND
        | CLONE_THREAD
        | CLONE_SYSVSEM
        | CLONE_SETTLS;
    for flags in [17, thread, CLONE_VM | CLONE_VFORK | 17, CLONE_PIDFD | 17] {
        assert_eq!(
            answer(&program, __NR_clone, [flags.into(), 0, 0, 0, 0, 0]),
            ALLOW,
            "{flags:#x}"
        );
    }
    let namespaces = [
        CLONE_NEWNS,
        CLONE_NEWCGROUP,
        CLONE_NEWUTS,
        CLONE_NEWIPC,
        CLONE_NEWUSER,
        CLONE_NEWPID,
        CLONE_NEWNET,
    ];
    for flag in namespaces {
        for flags in [flag, flag | 17, flag | thread] {
            let flags = u64::from(flags);
            assert_eq!(
                answer(&program, __NR_clone, [flags, 0, 0, 0, 0, 0]),
                EPERM,
                "{flags:#x}"
            );
            assert_eq!(
                answer(&program, __NR_clone, [flags | 1 << 32, 0, 0, 0, 0, 0]),
                EPERM,
                "{flags:#x}"
            );
        }
    }
    let elsewhere = [17, u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX];
    assert_eq!(
        answer(&program, __NR_clone, elsewhere),
        ALLOW,
        "only the flags matter"
    );
}

#[test]
fn sockets_are_of_known_families_and_neither_vsock_nor_alg() {
    let program = default_program();
    let allowed: Vec<u64> = (0..=1000)
        .filter(|&family| answer(&program, __NR_socket, [family, 1, 0, 0, 0, 0]) == ALLOW)
        .collect();
    insta::assert_compact_debug_snapshot!(
        allowed,
        @"[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45]"
    );
    for family in [38, 40, 46, 1000, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(
            answer(&program, __NR_socket, [family, 1, 0, 0, 0, 0]),
            EPERM,
            "{family}"
        );
    }
}

#[test]
fn bits_that_the_kernel_drops_neither_help_nor_hurt() {
    let program = default_program();
    for upper in [1 << 32, 1 << 63, 0xffff_ffff_0000_0000] {
        assert_eq!(
            answer(&program, __NR_socket, [upper | 38, 1, 0, 0, 0, 0]),
            EPERM
        );
        assert_eq!(
            answer(&program, __NR_socket, [upper | 2, 1, 0, 0, 0, 0]),
            ALLOW
        );
        assert_eq!(
            answer(&program, __NR_ioctl, [0, upper | 0x5412, 0, 0, 0, 0]),
            EPERM
        );
        assert_eq!(
            answer(
                &program,
                __NR_personality,
                [upper | 0x4_0000, 0, 0, 0, 0, 0]
            ),
            EPERM
        );
    }
}

#[test]
fn personality_takes_five_values() {
    let program = default_program();
    let asked = |value: u64| answer(&program, __NR_personality, [value, 0, 0, 0, 0, 0]);
    for value in [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff, u64::MAX] {
        assert_eq!(asked(value), ALLOW, "{value:#x}");
    }
    // Among them ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC and other systems' personalities.
    for value in [
        1,
        7,
        9,
        0x1_ffff,
        0x2_0001,
        0x2_0007,
        0x2_0009,
        0x4_0000,
        0x40_0000,
        0xffff_fffe,
    ] {
        assert_eq!(asked(value), EPERM, "{value:#x}");
    }
}

#[test]
fn ioctl_does_everything_but_type_into_the_terminal() {
    let program = default_program();
    let asked = |request: u64| answer(&program, __NR_ioctl, [0, request, 0, 0, 0, 0]);
    for request in 0..0x1_0000 {
        let expected = if matches!(request, 0x5412 | 0x541c) {
            EPERM
        } else {
            ALLOW
        };
        assert_eq!(asked(request), expected, "{request:#x}");
    }
    for request in [0x8004_5430, 0xc020_660b, 0xffff_ffff] {
        assert_eq!(asked(request), ALLOW, "{request:#x}");
    }
    assert_eq!(
        answer(&program, __NR_ioctl, [0x5412, 0, 0x5412, 0, 0, 0]),
        ALLOW,
        "only the request matters"
    );
}

#[test]
fn a_call_of_another_architecture_kills() {
    let program = default_program();
    let (x86_64, i386, aarch64, arm) = (0xc000_003e, 0x4000_0003, 0xc000_00b7, 0x4000_0028);
    for architecture in [x86_64, i386, aarch64, arm, 0, u32::MAX] {
        for number in numbers() {
            let outcome = run(
                program.instructions(),
                &Call {
                    number,
                    architecture,
                    arguments: [0; 6],
                },
            );
            if architecture == NATIVE {
                assert_ne!(outcome.answer, KILL, "call {number}");
            } else {
                assert_eq!(
                    (outcome.answer, outcome.steps),
                    (KILL, 3),
                    "call {number} of {architecture:#x}"
                );
            }
        }
    }
}

#[test]
fn a_capability_brings_its_calls() {
    let with = |capability| {
        Program::default_profile(&Options {
            capabilities: Options::default().capabilities | capability,
            ..Options::default()
        })
    };
    let without = default_program();
    for gate in moby::GATES
        .iter()
        .filter(|gate| !Options::default().capabilities.contains(gate.capability))
    {
        let program = with(gate.capability);
        for number in numbers() {
            let expected = if gate.numbers.contains(&number) {
                ALLOW
            } else {
                answer(&without, number, [0; 6])
            };
            assert_eq!(
                answer(&program, number, [0; 6]),
                expected,
                "call {number} with {:?}",
                gate.capability
            );
        }
    }
    let namespaces = [CLONE_NEWUSER.into(), 0, 0, 0, 0, 0];
    assert_eq!(
        answer(&with(CapabilitySet::SYS_ADMIN), __NR_clone, namespaces),
        ALLOW
    );
    let nothing = Program::default_profile(&Options {
        capabilities: CapabilitySet::empty(),
        ..Options::default()
    });
    assert_eq!(answer(&nothing, __NR_chroot, [0; 6]), EPERM);
    let everything = Program::default_profile(&Options {
        capabilities: CapabilitySet::all(),
        ..Options::default()
    });
    assert_eq!(
        answer(&everything, __NR_ioctl, [0, 0x5412, 0, 0, 0, 0]),
        EPERM,
        "no capability brings TIOCSTI back"
    );
}

#[test]
fn the_kernel_would_accept_the_program_of_any_capability() {
    for capability in (0..64).map(|bit| CapabilitySet::from_bits_retain(1 << bit)) {
        for capabilities in [
            capability,
            !capability,
            CapabilitySet::DAC_OVERRIDE | capability,
        ] {
            let program = Program::default_profile(&Options {
                capabilities,
                ..Options::default()
            });
            assert_eq!(check(program.instructions()), Ok(()), "{capabilities:?}");
        }
    }
}

#[test]
fn the_same_options_give_the_same_program() {
    assert_eq!(default_program(), default_program());
}

#[test]
fn no_number_is_listed_twice() {
    let mut listed: Vec<u32> = moby::ALLOWED
        .iter()
        .chain(moby::ALLOWED_HERE)
        .copied()
        .collect();
    listed.extend([__NR_clone, __NR_clone3, __NR_personality, __NR_socket]);
    let all = listed.len();
    listed.sort_unstable();
    listed.dedup();
    assert_eq!(listed.len(), all);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_default_program_is_short_and_quick() {
    let program = default_program();
    let profile = super::profile::Profile::new(&Options::default());
    let answers: Vec<(u32, Outcome)> = (0..=profile.newest)
        .map(|number| (number, call(&program, number, [0; 6])))
        .collect();
    let count = |wanted: u32| {
        answers
            .iter()
            .filter(|(_, outcome)| outcome.answer == wanted)
            .count()
    };
    let steps = |looked: bool| {
        answers
            .iter()
            .filter(|(_, o)| o.looked_at_arguments == looked)
            .map(|(_, o)| o.steps)
            .max()
            .unwrap_or(0)
    };
    let report = format!(
        "\
newest number known     {}
allowed (arguments 0)   {}
EPERM                   {}
ENOSYS                  {}
instructions            {}
steps, number only      {} at most
steps, with argument    {} at most",
        profile.newest,
        count(ALLOW),
        count(EPERM),
        count(ENOSYS),
        program.instructions().len(),
        steps(false),
        steps(true),
    );
    insta::assert_snapshot!(report, @r"
    newest number known     466
    allowed (arguments 0)   309
    EPERM                   157
    ENOSYS                  1
    instructions            107
    steps, number only      11 at most
    steps, with argument    16 at most
    ");
}

#[test]
fn an_instruction_is_laid_out_as_the_kernels() {
    assert_eq!(
        (size_of::<Instruction>(), align_of::<Instruction>()),
        (8, 4)
    );
    assert_eq!(
        (
            offset_of!(Instruction, code),
            offset_of!(Instruction, jt),
            offset_of!(Instruction, jf),
            offset_of!(Instruction, k),
        ),
        (0, 2, 3, 4),
    );
}

#[test]
fn nesting_brings_namespaces_and_mounts_and_nothing_else() {
    let options = Options {
        nesting: true,
        ..Options::default()
    };
    let (usual, nesting) = (default_program(), Program::default_profile(&options));
    let mut changed: Vec<u32> = numbers()
        .filter(|number| answer(&usual, *number, [0; 6]) != answer(&nesting, *number, [0; 6]))
        .collect();
    changed.sort_unstable();
    let mut expected = vec![
        __NR_clone3,
        __NR_fsconfig,
        __NR_fsmount,
        __NR_fsopen,
        __NR_fspick,
        __NR_keyctl,
        __NR_mount,
        __NR_mount_setattr,
        __NR_move_mount,
        __NR_open_tree,
        __NR_pivot_root,
        __NR_setdomainname,
        __NR_sethostname,
        __NR_setns,
        __NR_umount2,
        __NR_unshare,
    ];
    expected.sort_unstable();
    assert_eq!(changed, expected);
    let user = [u64::from(CLONE_NEWUSER), 0, 0, 0, 0, 0];
    assert_eq!(answer(&nesting, __NR_clone, user), ALLOW);
    assert_eq!(answer(&nesting, __NR_keyctl, [0; 6]), ENOSYS);
}
