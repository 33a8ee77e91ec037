//! From the rules of a container's own profile to instructions.

use std::collections::BTreeMap;

use super::super::arch::NATIVE;
use super::super::bpf::{ARCHITECTURE, Instruction, NUMBER, high_half, low_half};
use super::super::own::{Answer, ArgumentTest, Comparison, OwnRule};
use super::super::ranges::Ranges;
use super::assembler::{Assembler, Label};
use super::{halves, search};

/// The program that answers a call by its number's rules, the first one that fits, and with `default` where none does. Of
/// calls of another architecture the default profile disposes.
pub(in super::super) fn compile_own(
    default: Answer,
    rules: &BTreeMap<u32, Vec<&OwnRule>>,
) -> Vec<Instruction> {
    let mut ranges: Ranges<&[&OwnRule]> = Ranges::new(&[]);
    let mut next = 0;
    for (&number, of_number) in rules {
        if next < number {
            ranges.change_at(next, &[]);
        }
        ranges.change_at(number, of_number);
        next = number + 1;
    }
    ranges.change_at(next, &[]);

    let mut assembler = Assembler::default();
    let search = search(
        &mut assembler,
        &ranges.first,
        &ranges.rest,
        &|assembler, rules| {
            let otherwise = assembler.answer(default.action());
            rules.iter().rev().fold(otherwise, |otherwise, rule| {
                let met = assembler.answer(rule.answer.action());
                let tests = rule.tests.iter().rev();
                tests.fold(met, |met, test| compare(assembler, *test, met, otherwise))
            })
        },
    );
    let number = assembler.load(NUMBER, search);
    let foreign = assembler.answer(default.action());
    let architecture = assembler.equal(NATIVE, number, foreign);
    assembler.load(ARCHITECTURE, architecture);
    assembler.finish()
}

/// Continues at `met` if the test holds, else at `otherwise`.
fn compare(assembler: &mut Assembler, test: ArgumentTest, met: Label, otherwise: Label) -> Label {
    let (low, high) = (low_half(test.index), high_half(test.index));
    match test.comparison {
        Comparison::Equal => equal(assembler, (low, high), test.value, (met, otherwise)),
        Comparison::NotEqual => equal(assembler, (low, high), test.value, (otherwise, met)),
        Comparison::GreaterOrEqual => {
            at_least(assembler, (low, high), test.value, (met, otherwise))
        }
        Comparison::Less => at_least(assembler, (low, high), test.value, (otherwise, met)),
        Comparison::Greater => match test.value.checked_add(1) {
            Some(value) => at_least(assembler, (low, high), value, (met, otherwise)),
            None => otherwise,
        },
        Comparison::LessOrEqual => match test.value.checked_add(1) {
            Some(value) => at_least(assembler, (low, high), value, (otherwise, met)),
            None => met,
        },
        Comparison::Masked(mask) => {
            let ((value_low, value_high), (mask_low, mask_high)) =
                (halves(test.value), halves(mask));
            let second = assembler.equal(value_low, met, otherwise);
            let second = assembler.load_masked(low, mask_low, second);
            let first = assembler.equal(value_high, second, otherwise);
            assembler.load_masked(high, mask_high, first)
        }
    }
}

fn equal(
    assembler: &mut Assembler,
    (low, high): (u32, u32),
    value: u64,
    (yes, no): (Label, Label),
) -> Label {
    let (value_low, value_high) = halves(value);
    let second = assembler.equal(value_low, yes, no);
    let second = assembler.load(low, second);
    let first = assembler.equal(value_high, second, no);
    assembler.load(high, first)
}

/// The upper half decides unless it is the value's own.
fn at_least(
    assembler: &mut Assembler,
    (low, high): (u32, u32),
    value: u64,
    (yes, no): (Label, Label),
) -> Label {
    let (value_low, value_high) = halves(value);
    let second = assembler.at_least(value_low, yes, no);
    let second = assembler.load(low, second);
    let above = assembler.at_least(value_high, yes, no);
    let first = assembler.equal(value_high, second, above);
    assembler.load(high, first)
}
