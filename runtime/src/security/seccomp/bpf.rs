//! Instructions of classic BPF, as far as seccomp programs need them.
//!
//! Only what the kernel can follow without running it is used (`seccomp_is_const_allow` in `kernel/seccomp.c`), so
//! that an answer which needs no argument ends up in its bitmap.

use serde::{Deserialize, Serialize};

/// One instruction, laid out as `struct sock_filter` of `linux/filter.h`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// What to do: one of the codes of `linux/bpf_common.h`.
    pub code: u16,
    /// How many instructions a jump skips when its comparison holds.
    pub jt: u8,
    /// How many instructions a jump skips when it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// `BPF_LD | BPF_W | BPF_ABS`: the accumulator becomes the 32-bit word at byte `k` of `struct seccomp_data`.
pub(super) const LOAD: u16 = 0x20;
/// `BPF_JMP | BPF_JA`: skips `k` instructions.
pub(super) const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`: does the accumulator equal `k`?
pub(super) const JUMP_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGE | BPF_K`: is the accumulator at least `k`, unsigned?
pub(super) const JUMP_AT_LEAST: u16 = 0x35;
/// `BPF_JMP | BPF_JSET | BPF_K`: has the accumulator any bit of `k`?
pub(super) const JUMP_ANY_BIT: u16 = 0x45;
/// `BPF_ALU | BPF_AND | BPF_K`: the accumulator keeps only the bits of `k`.
pub(super) const MASK: u16 = 0x54;
/// `BPF_RET | BPF_K`: the answer is `k`.
pub(super) const RETURN: u16 = 0x06;

/// Byte offset of the call's number in `struct seccomp_data` (`linux/seccomp.h`).
pub(super) const NUMBER: u32 = 0;
/// Byte offset of the audit architecture.
pub(super) const ARCHITECTURE: u32 = 4;

/// Byte offset of the low 32 bits of an argument, 0 to 5.
pub(super) const fn low_half(argument: u32) -> u32 {
    16 + 8 * argument + if cfg!(target_endian = "big") { 4 } else { 0 }
}

/// Byte offset of the high 32 bits of an argument, 0 to 5.
pub(super) const fn high_half(argument: u32) -> u32 {
    16 + 8 * argument + if cfg!(target_endian = "big") { 0 } else { 4 }
}
