//! From rules to instructions: is it our architecture, then a balanced search for the number, then its argument.

mod assembler;
mod own;
#[cfg(test)]
mod tests;

use self::assembler::{Assembler, Label};
pub(super) use self::own::compile_own;
use super::action::Action;
use super::arch::NATIVE;
use super::bpf::{ARCHITECTURE, Instruction, NUMBER, high_half, low_half};
use super::ranges::Ranges;
use super::rule::{Check, Condition, Rule};

/// The program that answers as `ranges` says, and kills a process that makes a call of another architecture.
pub(super) fn compile(ranges: &Ranges<Rule>) -> Vec<Instruction> {
    let mut assembler = Assembler::default();
    let search = search(
        &mut assembler,
        &ranges.first,
        &ranges.rest,
        &|assembler, rule| match rule {
            Rule::Answer(action) => assembler.answer(*action),
            Rule::Check(check) => argument(assembler, check),
        },
    );
    let number = assembler.load(NUMBER, search);
    let foreign = assembler.answer(Action::KillProcess);
    let architecture = assembler.equal(NATIVE, number, foreign);
    assembler.load(ARCHITECTURE, architecture);
    assembler.finish()
}

/// Finds the loaded word's range by halving: with `n` boundaries, about `log2(n)` comparisons.
fn search<T>(
    assembler: &mut Assembler,
    first: &T,
    rest: &[(u32, T)],
    leaf: &impl Fn(&mut Assembler, &T) -> Label,
) -> Label {
    let (below, from) = rest.split_at(rest.len() / 2);
    let Some(((boundary, value), above)) = from.split_first() else {
        return leaf(assembler, first);
    };
    let high = search(assembler, value, above, leaf);
    let low = search(assembler, first, below, leaf);
    assembler.at_least(*boundary, high, low)
}

fn argument(assembler: &mut Assembler, check: &Check) -> Label {
    match check.condition {
        Condition::LowHalfWithin(within) => {
            let mut answers = Ranges::new(check.unmet);
            for &(first, last) in within {
                answers.change_at(first, check.met);
                if let Some(after) = last.checked_add(1) {
                    answers.change_at(after, check.unmet);
                }
            }
            let search = search(
                assembler,
                &answers.first,
                &answers.rest,
                &|assembler, action| assembler.answer(*action),
            );
            assembler.load(low_half(check.argument), search)
        }
        Condition::NoneOf(mask) => {
            let (low, high) = halves(mask);
            let met = assembler.answer(check.met);
            let after_low =
                half_has_none(assembler, low_half(check.argument), low, met, check.unmet);
            half_has_none(
                assembler,
                high_half(check.argument),
                high,
                after_low,
                check.unmet,
            )
        }
    }
}

/// Continues at `met` if the word at `offset` has no bit of `mask`, else answers `unmet`.
fn half_has_none(
    assembler: &mut Assembler,
    offset: u32,
    mask: u32,
    met: Label,
    unmet: Action,
) -> Label {
    if mask == 0 {
        return met;
    }
    let unmet = assembler.answer(unmet);
    let test = assembler.any_bit(mask, unmet, met);
    assembler.load(offset, test)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "each half is cut off on purpose"
)]
const fn halves(value: u64) -> (u32, u32) {
    (value as u32, (value >> 32) as u32)
}
