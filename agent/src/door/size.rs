//! Amounts as Docker writes them: `64m`, `1.5`.

/// Reads a number of bytes with an optional unit `b`, `k`, `m` or `g`, in powers of 1024 and in either case; more than
/// nothing.
pub(super) fn parse(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_lowercase();
    let shift = match unit.strip_suffix('b').unwrap_or(&unit) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}

/// Reads a number of cores with at most three decimals, in thousandths; more than nothing.
pub(super) fn thousandths(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if decimals.len() > 3 || !is_number(whole) || !is_number(decimals) {
        return None;
    }
    let whole: u64 = match whole {
        "" if decimals.is_empty() => return None,
        "" => 0,
        digits => digits.parse().ok()?,
    };
    let decimals: u64 = format!("{decimals:0<3}").parse().ok()?;
    let thousandths = whole.checked_mul(1000)?.checked_add(decimals)?;
    (thousandths > 0).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::{parse, thousandths};

    #[test]
    fn cores_have_three_decimals() {
        for (text, expected) in [("2", 2000), ("1.5", 1500), (".25", 250), ("0.001", 1)] {
            assert_eq!(thousandths(text), Some(expected), "{text}");
        }
        for text in ["", ".", "0", "-1", "+1", "1e3", "1.2345", "0.0", "1,5"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in [
            ("1", 1),
            ("512b", 512),
            ("4k", 4 << 10),
            ("64M", 64 << 20),
            ("1gb", 1 << 30),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_none() {
        for text in [
            "",
            "m",
            "0",
            "-1",
            "1.5g",
            "64mm",
            "1 m",
            "99999999999g",
            "1é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
