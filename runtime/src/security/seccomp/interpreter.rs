//! The kernel's side of a seccomp program, for tests: its checks before it accepts one, and running it.
//!
//! Written from `bpf_check_classic` (`net/core/filter.c`), `seccomp_check_filter` and `seccomp_is_const_allow`
//! (`kernel/seccomp.c`), with the codes spelled out again rather than taken from [`bpf`](super::bpf).

use super::bpf::Instruction;

/// A system call as `struct seccomp_data` shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) architecture: u32,
    pub(super) arguments: [u64; 6],
}

/// What a program said about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Its return value.
    pub(super) answer: u32,
    /// How many instructions ran.
    pub(super) steps: usize,
    /// Whether it looked at anything but number and architecture. If not, the kernel remembers an allowing answer.
    pub(super) looked_at_arguments: bool,
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend(self.number.to_ne_bytes());
        bytes.extend(self.architecture.to_ne_bytes());
        bytes.extend(0x7fff_dead_beef_u64.to_ne_bytes()); // the instruction pointer
        for argument in self.arguments {
            bytes.extend(argument.to_ne_bytes());
        }
        let start = usize::try_from(offset).expect("64-bit");
        u32::from_ne_bytes(bytes[start..start + 4].try_into().expect("four bytes"))
    }
}

/// Runs `program` on `call`.
pub(super) fn run(program: &[Instruction], call: &Call) -> Outcome {
    let (mut accumulator, mut at, mut steps, mut looked_at_arguments) = (0, 0, 0, false);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        steps += 1;
        let holds = match code {
            0x20 => {
                accumulator = call.word(k);
                looked_at_arguments |= k >= 8;
                continue;
            }
            0x54 => {
                accumulator &= k;
                continue;
            }
            0x05 => {
                at += usize::try_from(k).expect("64-bit");
                continue;
            }
            0x06 => {
                return Outcome {
                    answer: k,
                    steps,
                    looked_at_arguments,
                };
            }
            0x15 => accumulator == k,
            0x35 => accumulator >= k,
            0x45 => accumulator & k != 0,
            other => panic!("unknown code {other:#x}"),
        };
        at += usize::from(if holds { jt } else { jf });
    }
}

/// Whether the kernel would accept `program`; the error says what it would reject.
pub(super) fn check(program: &[Instruction]) -> Result<(), String> {
    if program.is_empty() || program.len() > 4096 {
        return Err(format!("{} instructions", program.len()));
    }
    if program.last().map(|last| last.code) != Some(0x06) {
        return Err("does not end in a return".to_owned());
    }
    let mut reached = vec![false; program.len()];
    reached[0] = true;
    for (at, instruction) in program.iter().enumerate() {
        if !reached[at] {
            return Err(format!("{at}: cannot be reached"));
        }
        let skips: Vec<usize> = match instruction.code {
            0x20 if instruction.k % 4 == 0 && instruction.k < 64 => vec![0],
            0x54 => vec![0],
            0x05 => vec![usize::try_from(instruction.k).expect("64-bit")],
            0x06 => vec![],
            0x15 | 0x35 | 0x45 => vec![instruction.jt.into(), instruction.jf.into()],
            _ => return Err(format!("{at}: {instruction:?}")),
        };
        for skip in skips {
            let target = reached.get_mut(at + 1 + skip);
            *target.ok_or(format!("{at}: jumps out of the program"))? = true;
        }
    }
    Ok(())
}
