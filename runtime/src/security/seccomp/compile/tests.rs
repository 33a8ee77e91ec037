//! Programs larger than any profile, where jumps no longer fit in a byte.

use super::super::interpreter::{Call, check, run};
use super::*;

/// A rule for each number below `count`, no two neighbours alike, so that nothing can be merged.
fn patchwork(count: u32) -> Ranges<Rule> {
    let mut ranges = Ranges::new(Rule::Answer(Action::NotPermitted));
    for number in 1..count {
        let rule = match number % 4 {
            0 => Rule::Answer(Action::NotPermitted),
            1 => Rule::Answer(Action::Allow),
            2 => Rule::Check(Check {
                argument: 5,
                condition: Condition::NoneOf((u64::from(number) << 32) | 1),
                met: Action::Allow,
                unmet: Action::NoSuchCall,
            }),
            _ => Rule::Check(Check {
                argument: 3,
                condition: Condition::LowHalfWithin(&[(0, 2), (7, 7), (u32::MAX - 1, u32::MAX)]),
                met: Action::NotPermitted,
                unmet: Action::Allow,
            }),
        };
        ranges.change_at(number, rule);
    }
    ranges
}

/// What the patchwork says when arguments 3 and 5 are `value`, in other words than above.
fn expected(number: u32, value: u64) -> Action {
    match number % 4 {
        0 => Action::NotPermitted,
        1 => Action::Allow,
        2 if value & 1 == 0 && (value >> 32) & u64::from(number) == 0 => Action::Allow,
        2 => Action::NoSuchCall,
        _ if matches!(
            value & 0xffff_ffff,
            0 | 1 | 2 | 7 | 0xffff_fffe | 0xffff_ffff
        ) =>
        {
            Action::NotPermitted
        }
        _ => Action::Allow,
    }
}

#[track_caller]
fn assert_patchwork(program: &[Instruction], count: u32, values: &[u64]) {
    assert_eq!(check(program), Ok(()), "{count} numbers");
    for number in 0..count {
        for &value in values {
            let arguments = [u64::MAX, u64::MAX, u64::MAX, value, u64::MAX, value];
            let outcome = run(
                program,
                &Call {
                    number,
                    architecture: NATIVE,
                    arguments,
                },
            );
            let expected = expected(number, value).return_value();
            assert_eq!(
                outcome.answer, expected,
                "call {number} of {count} with {value:#x}"
            );
        }
    }
}

#[test]
fn jumps_that_are_too_far_for_a_byte_arrive_all_the_same() {
    let count = 1230;
    let program = compile(&patchwork(count));
    let helped = program
        .iter()
        .filter(|instruction| instruction.code == 0x05)
        .count();
    insta::assert_snapshot!(
        format!("{} instructions, {helped} helped jumps", program.len()),
        @"4059 instructions, 15 helped jumps"
    );
    let values = [
        0,
        1,
        3,
        7,
        8,
        1 << 32,
        2 << 32,
        255 << 32,
        0xffff_fffe,
        u64::MAX,
        u64::MAX << 32,
    ];
    assert_patchwork(&program, count, &values);
}

#[test]
fn a_program_of_any_size_is_right_where_jumps_just_fit() {
    for count in 1..400 {
        assert_patchwork(&compile(&patchwork(count)), count, &[0, 8 | 1 << 33]);
    }
}

#[test]
fn both_ways_of_a_branch_arrive_when_helping_one_moves_the_other() {
    for padding in 240..270 {
        let mut assembler = Assembler::default();
        let no = assembler.answer(Action::NotPermitted);
        let yes = assembler.answer(Action::Allow);
        let mut next = yes;
        for _ in 0..padding {
            next = assembler.load(ARCHITECTURE, next); // falls through: a chain of any length
        }
        for (yes, no, swapped) in [(yes, no, false), (no, yes, true)] {
            let mut assembler = assembler.clone();
            let branch = assembler.equal(1, yes, no);
            assembler.load(NUMBER, branch);
            let program = assembler.finish();
            for number in [0, 1] {
                let outcome = run(
                    &program,
                    &Call {
                        number,
                        architecture: NATIVE,
                        arguments: [0; 6],
                    },
                );
                let expected = if (number == 1) != swapped {
                    Action::Allow
                } else {
                    Action::NotPermitted
                };
                assert_eq!(
                    outcome.answer,
                    expected.return_value(),
                    "{padding} instructions between"
                );
            }
        }
    }
}

#[test]
fn a_mask_is_tested_in_both_halves_and_a_half_without_bits_not_at_all() {
    let program = |mask| {
        compile(&Ranges::new(Rule::Check(Check {
            argument: 1,
            condition: Condition::NoneOf(mask),
            met: Action::Allow,
            unmet: Action::NotPermitted,
        })))
    };
    let allowed = |program: &[Instruction], value| {
        let arguments = [u64::MAX, value, u64::MAX, u64::MAX, u64::MAX, u64::MAX];
        run(
            program,
            &Call {
                number: 0,
                architecture: NATIVE,
                arguments,
            },
        )
        .answer
            == Action::Allow.return_value()
    };
    for mask in [
        0,
        1,
        1 << 31,
        1 << 32,
        1 << 63,
        (1 << 40) | (1 << 4),
        u64::MAX,
    ] {
        let program = program(mask);
        assert_eq!(check(&program), Ok(()));
        for bit in 0..64 {
            assert_eq!(
                allowed(&program, 1 << bit),
                mask & (1 << bit) == 0,
                "bit {bit} of {mask:#x}"
            );
        }
        assert!(allowed(&program, !mask), "{mask:#x}");
        let tests = usize::from(mask & 0xffff_ffff != 0) + usize::from(mask >> 32 != 0);
        assert_eq!(
            program
                .iter()
                .filter(|instruction| instruction.code == 0x45)
                .count(),
            tests
        );
    }
}
