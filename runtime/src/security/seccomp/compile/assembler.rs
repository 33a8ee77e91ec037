//! Writes a program from its end to its beginning.
//!
//! Jumps of classic BPF go forward only. Written backwards, every target is already there when a jump to it is made,
//! its distance is known, and nothing has to be patched. A conditional jump reaches 255 instructions; where that is
//! not enough, it goes to an unconditional one right behind it.
//!
//! ```text
//!     program order   load nr | at least 60? | (jump) | low half ... | high half ... | return
//!     written         <------------------------------------------------------------- first
//! ```

use std::collections::BTreeMap;

use super::super::action::Action;
use super::super::bpf::{
    Instruction, JUMP, JUMP_ANY_BIT, JUMP_AT_LEAST, JUMP_EQUAL, LOAD, MASK, RETURN,
};

/// How far a conditional jump goes without help. One less than the 255 that fit in its byte, since helping one of its
/// branches moves the other one away by one.
const REACH: u32 = 254;

/// An instruction to jump to: how many there were before it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(u32);

/// A program under construction, last instruction first.
#[derive(Debug, Clone, Default)]
pub(super) struct Assembler {
    backwards: Vec<Instruction>,
    /// Where each answer was returned last, to be shared by the jumps that reach it.
    returns: BTreeMap<Action, Label>,
    written: u32,
}

impl Assembler {
    /// Returns `action`.
    pub(super) fn answer(&mut self, action: Action) -> Label {
        if let Some(&label) = self.returns.get(&action)
            && self.distance(label) <= REACH
        {
            return label;
        }
        let label = self.write(RETURN, 0, 0, action.return_value());
        self.returns.insert(action, label);
        label
    }

    /// Loads the word at byte `offset` of `struct seccomp_data`, then continues at `next`.
    pub(super) fn load(&mut self, offset: u32, next: Label) -> Label {
        let distance = self.distance(next);
        if distance > 0 {
            self.write(JUMP, 0, 0, distance);
        }
        self.write(LOAD, 0, 0, offset)
    }

    /// The same with only the bits of `mask` of the word.
    pub(super) fn load_masked(&mut self, offset: u32, mask: u32, next: Label) -> Label {
        let distance = self.distance(next);
        if distance > 0 {
            self.write(JUMP, 0, 0, distance);
        }
        self.write(MASK, 0, 0, mask);
        self.write(LOAD, 0, 0, offset)
    }

    /// Continues at `yes` if the loaded word equals `value`, else at `no`.
    pub(super) fn equal(&mut self, value: u32, yes: Label, no: Label) -> Label {
        self.branch(JUMP_EQUAL, value, yes, no)
    }

    /// Continues at `yes` if the loaded word is at least `value`, else at `no`.
    pub(super) fn at_least(&mut self, value: u32, yes: Label, no: Label) -> Label {
        self.branch(JUMP_AT_LEAST, value, yes, no)
    }

    /// Continues at `yes` if the loaded word has any bit of `mask`, else at `no`.
    pub(super) fn any_bit(&mut self, mask: u32, yes: Label, no: Label) -> Label {
        self.branch(JUMP_ANY_BIT, mask, yes, no)
    }

    /// The program, first instruction first. It begins with what was written last.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        self.backwards.reverse();
        self.backwards
    }

    fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        let no = self.within_reach(no);
        let yes = self.within_reach(yes);
        let (jt, jf) = (self.short_distance(yes), self.short_distance(no));
        self.write(code, jt, jf, k)
    }

    /// `label`, or a jump to it when it is too far for a conditional jump written next.
    fn within_reach(&mut self, label: Label) -> Label {
        match self.distance(label) {
            0..=REACH => label,
            distance => self.write(JUMP, 0, 0, distance),
        }
    }

    /// How many instructions a jump written next has to skip to get to `label`.
    fn distance(&self, label: Label) -> u32 {
        self.written - label.0 - 1
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "`within_reach` has seen to it that it is at most 255"
    )]
    fn short_distance(&self, label: Label) -> u8 {
        let distance = self.distance(label);
        debug_assert!(distance <= 255);
        distance as u8
    }

    fn write(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        let label = Label(self.written);
        self.backwards.push(Instruction { code, jt, jf, k });
        self.written += 1;
        label
    }
}
