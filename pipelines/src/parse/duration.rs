//! Durations: `90s`, `10m`, `1h30m`, `2d`, `500ms`.

use std::time::Duration;

use super::{
    shape::{Shape, Type},
    value::Field,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    limits,
    yaml::{ScalarKind, Value},
};

const HELP: &str = "write numbers with units, such as 90s, 10m, 1h30m, 2d or 500ms";

pub(super) const DURATION: Type<Option<Duration>> = Type {
    words: "[duration](#durations)",
    shape: Shape::StringLike("^(?=.*[1-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"),
    read: duration,
};

/// A duration longer than zero.
fn duration(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Duration> {
    let is_number =
        matches!(&field.node.value, Value::Scalar(scalar) if scalar.kind == ScalarKind::Number);
    let text = field.literal(diagnostics)?;
    let problem = match read(&text.value) {
        Ok(duration) => return Some(duration),
        Err(problem) => problem,
    };
    let message = format!(
        "{} is not a duration: {}",
        quoted(&text.value),
        problem.text()
    );
    let help =
        if is_number && text.value.bytes().all(|b| b.is_ascii_digit()) && text.value.len() <= 9 {
            format!(
                "write {}s if it is seconds, {}m if it is minutes",
                text.value, text.value
            )
        } else {
            HELP.to_owned()
        };
    diagnostics.push(Diagnostic::new(Code::BadDuration, field.span, message).help(help));
    None
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    Empty,
    NoUnit,
    NoNumber,
    UnknownUnit,
    Order,
    Zero,
    TooLong,
}

impl Problem {
    const fn text(self) -> &'static str {
        match self {
            Self::Empty => "it is empty",
            Self::NoUnit => "a number has no unit",
            Self::NoNumber => "a unit has no whole number before it",
            Self::UnknownUnit => "the units are d, h, m, s and ms",
            Self::Order => "units come once each, the largest first",
            Self::Zero => "it has to be longer than zero",
            Self::TooLong => "the longest one is 365d",
        }
    }
}

/// Units and their milliseconds, the largest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

fn read(text: &str) -> Result<Duration, Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    let mut rest = text;
    let mut millis: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.len()
            - behind
                .trim_start_matches(|c: char| !c.is_ascii_digit())
                .len();
        let (unit, behind) = behind.split_at(letters);
        if number.is_empty() {
            return Err(Problem::NoNumber);
        }
        if unit.is_empty() {
            return Err(Problem::NoUnit);
        }
        let index = UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or(Problem::UnknownUnit)?;
        if index < next_unit {
            return Err(Problem::Order);
        }
        next_unit = index + 1;
        let number: u64 = number.parse().map_err(|_| Problem::TooLong)?;
        let part = number.checked_mul(UNITS[index].1).ok_or(Problem::TooLong)?;
        millis = millis.checked_add(part).ok_or(Problem::TooLong)?;
        rest = behind;
    }
    match millis {
        0 => Err(Problem::Zero),
        _ if millis > limits::DURATION_DAYS * UNITS[0].1 => Err(Problem::TooLong),
        _ => Ok(Duration::from_millis(millis)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units_largest_first() {
        let millis = |text| read(text).map(|duration| duration.as_millis());
        assert_eq!(millis("30s"), Ok(30_000));
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        assert_eq!(millis("2d"), Ok(172_800_000));
        assert_eq!(millis("1s500ms"), Ok(1_500));
        assert_eq!(millis("365d"), Ok(31_536_000_000));
    }

    #[test]
    fn other_texts_say_what_is_wrong_with_them() {
        for (text, problem) in [
            ("", Problem::Empty),
            ("90", Problem::NoUnit),
            ("1h30", Problem::NoUnit),
            ("m", Problem::NoNumber),
            ("-5s", Problem::NoNumber),
            ("1.5h", Problem::UnknownUnit),
            ("5 m", Problem::UnknownUnit),
            ("5µs", Problem::UnknownUnit),
            ("30m1h", Problem::Order),
            ("1m1m", Problem::Order),
            ("0s", Problem::Zero),
            ("366d", Problem::TooLong),
            ("99999999999999999999d", Problem::TooLong),
            ("18446744073709551615ms1ms", Problem::Order),
            ("18446744073709551615d", Problem::TooLong),
        ] {
            assert_eq!(read(text), Err(problem), "{text}");
        }
    }
}
