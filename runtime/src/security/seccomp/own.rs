//! A profile of a container's own, which system calls have to pass beside the default one (OCI runtime specification,
//! `config-linux.md`, "Seccomp").
//!
//! The default profile refuses every call that is not in moby's lists, so that only those have names here: what a profile says
//! of any other call changes nothing.

use std::collections::BTreeMap;

use linux_raw_sys::ptrace::{
    SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD,
    SECCOMP_RET_LOG, SECCOMP_RET_TRACE, SECCOMP_RET_TRAP,
};

use super::action::Action;
use super::bpf::Instruction;
use super::compile::compile_own;
use super::{MAX_INSTRUCTIONS, moby};

/// Answers to system calls by their names and arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnProfile {
    /// To every call that no rule is about.
    pub default: Answer,
    /// The first one that fits a call decides.
    pub rules: Vec<OwnRule>,
}

/// An answer to some system calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRule {
    /// Their names.
    pub names: Vec<String>,
    /// The answer.
    pub answer: Answer,
    /// What has to hold of a call's arguments, all of it.
    pub tests: Vec<ArgumentTest>,
}

/// What a program can answer (seccomp(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The kernel carries the call out.
    Allow,
    /// The same, and notes it in its log.
    Log,
    /// The call fails with this number, which the kernel takes up to 4095.
    Errno(u16),
    /// A tracer decides, which is told this number; without one the call fails with `ENOSYS`.
    Trace(u16),
    /// The thread gets SIGSYS.
    Trap,
    /// The thread dies.
    KillThread,
    /// The process dies.
    KillProcess,
}

impl Answer {
    pub(super) fn action(self) -> Action {
        Action::Value(match self {
            Self::Allow => return Action::Allow,
            Self::Log => SECCOMP_RET_LOG,
            Self::Errno(number) => SECCOMP_RET_ERRNO | u32::from(number),
            Self::Trace(number) => SECCOMP_RET_TRACE | u32::from(number),
            Self::Trap => SECCOMP_RET_TRAP,
            Self::KillThread => SECCOMP_RET_KILL_THREAD,
            Self::KillProcess => SECCOMP_RET_KILL_PROCESS,
        })
    }
}

const _: () = assert!(SECCOMP_RET_ALLOW == Action::Allow.return_value());

/// Something that has to hold of an argument, an unsigned number of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgumentTest {
    /// Which argument, 0 to 5.
    pub index: u32,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub value: u64,
}

/// How an argument is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// It is the value.
    Equal,
    /// It is not.
    NotEqual,
    /// It is less.
    Less,
    /// It is less, or the value.
    LessOrEqual,
    /// It is more.
    Greater,
    /// It is more, or the value.
    GreaterOrEqual,
    /// Its bits in this mask are those of the value.
    Masked(u64),
}

impl OwnProfile {
    /// The program; `None` when it would be longer than the kernel takes.
    #[must_use]
    pub fn compile(&self) -> Option<Vec<Instruction>> {
        let names = names();
        let mut rules: BTreeMap<u32, Vec<&OwnRule>> = BTreeMap::new();
        for rule in &self.rules {
            for number in rule
                .names
                .iter()
                .filter_map(|name| names.get(name.as_str()))
            {
                rules.entry(*number).or_default().push(rule);
            }
        }
        let program = compile_own(self.default, &rules);
        (program.len() <= MAX_INSTRUCTIONS).then_some(program)
    }
}

/// The calls of moby's lists.
fn names() -> BTreeMap<&'static str, u32> {
    let gates = moby::GATES.iter().map(|gate| gate.numbers);
    let lists = [moby::ALLOWED, moby::ALLOWED_HERE, moby::CHECKED];
    let all = lists.into_iter().chain(gates);
    all.flat_map(moby::Calls::named).collect()
}

#[cfg(test)]
mod tests {
    use linux_raw_sys::general::{__NR_getcwd, __NR_kill, __NR_personality, __NR_socket};

    use super::super::arch::NATIVE;
    use super::super::interpreter::{Call, check, run};
    use super::*;

    const REFUSED: u32 = SECCOMP_RET_ERRNO | 38;

    fn rule(names: &[&str], answer: Answer, tests: &[(u32, Comparison, u64)]) -> OwnRule {
        OwnRule {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            answer,
            tests: tests
                .iter()
                .map(|&(index, comparison, value)| ArgumentTest {
                    index,
                    comparison,
                    value,
                })
                .collect(),
        }
    }

    fn answer(program: &[Instruction], number: u32, arguments: [u64; 6]) -> u32 {
        let call = Call {
            number,
            architecture: NATIVE,
            arguments,
        };
        run(program, &call).answer
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let profile = OwnProfile {
            default: Answer::Errno(38),
            rules: vec![
                rule(&["getcwd", "no_such_call"], Answer::Allow, &[]),
                rule(
                    &["personality"],
                    Answer::Allow,
                    &[(0, Comparison::Equal, 8)],
                ),
                rule(
                    &["personality"],
                    Answer::Allow,
                    &[(0, Comparison::Equal, u64::MAX)],
                ),
                rule(&["personality"], Answer::Trap, &[]),
                rule(
                    &["socket"],
                    Answer::KillThread,
                    &[(0, Comparison::Equal, 16), (2, Comparison::NotEqual, 9)],
                ),
            ],
        };
        let program = profile.compile().unwrap();
        check(&program).unwrap();
        let first = |number, argument| answer(&program, number, [argument, 0, 9, 0, 0, 0]);
        assert_eq!(first(__NR_getcwd, 1), SECCOMP_RET_ALLOW);
        assert_eq!(first(__NR_kill, 1), REFUSED);
        assert_eq!(first(__NR_personality, 8), SECCOMP_RET_ALLOW);
        assert_eq!(first(__NR_personality, u64::MAX), SECCOMP_RET_ALLOW);
        assert_eq!(first(__NR_personality, 8 << 32 | 8), SECCOMP_RET_TRAP);
        assert_eq!(first(__NR_socket, 16), REFUSED);
        let netlink = answer(&program, __NR_socket, [16, 0, 8, 0, 0, 0]);
        assert_eq!(netlink, SECCOMP_RET_KILL_THREAD);
    }

    #[test]
    fn arguments_are_compared_as_unsigned_numbers() {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Masked, NotEqual};
        let values = [
            0,
            1,
            7,
            8,
            u64::from(u32::MAX),
            1 << 32,
            (1 << 32) + 7,
            8 << 32 | 8,
            u64::MAX,
        ];
        for comparison in [
            Equal,
            NotEqual,
            Less,
            LessOrEqual,
            Greater,
            GreaterOrEqual,
            Masked(0xf_0000_0007),
        ] {
            for value in values {
                let profile = OwnProfile {
                    default: Answer::Errno(38),
                    rules: vec![rule(&["kill"], Answer::Log, &[(5, comparison, value)])],
                };
                let program = profile.compile().unwrap();
                for argument in values {
                    let holds = match comparison {
                        Equal => argument == value,
                        NotEqual => argument != value,
                        Less => argument < value,
                        LessOrEqual => argument <= value,
                        Greater => argument > value,
                        GreaterOrEqual => argument >= value,
                        Masked(mask) => argument & mask == value,
                    };
                    let expected = if holds { SECCOMP_RET_LOG } else { REFUSED };
                    let found = answer(&program, __NR_kill, [0, 0, 0, 0, 0, argument]);
                    assert_eq!(found, expected, "{argument:#x} {comparison:?} {value:#x}");
                }
            }
        }
    }
}
