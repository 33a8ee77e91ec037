//! How amounts are written, in a pipeline and in whatever else configures one: `1.5` cores, `512MiB`.

/// Cores that may be asked for; more than any machine has.
pub const MOST_CORES: u64 = 4_096;

/// Cores in thousandths, with up to three digits behind the point; more than any machine has is none.
#[must_use]
pub fn cores(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) || part.len() > 3 {
        return None;
    }
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    let millis = whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1000)?
        .checked_add(part)?;
    (1..=MOST_CORES * 1000).contains(&millis).then_some(millis)
}

/// Units and their bytes.
const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// A whole number with a unit, in bytes.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    let bytes = number.parse::<u64>().ok()?.checked_mul(*factor)?;
    (1..=1 << 60).contains(&bytes).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{cores, size};

    #[test]
    fn cores_have_up_to_three_digits_behind_the_point() {
        assert_eq!(cores("2"), Some(2_000));
        assert_eq!(cores("1.5"), Some(1_500));
        assert_eq!(cores("0.125"), Some(125));
        for text in [
            "",
            "0",
            ".5",
            "1.",
            "1.0001",
            "-1",
            "1e3",
            "4097",
            "99999999999999999999",
        ] {
            assert_eq!(cores(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_whole_and_have_a_unit() {
        assert_eq!(size("512MiB"), Some(512 << 20));
        assert_eq!(size("2 GB"), Some(2_000_000_000));
        for text in ["", "512", "1.5GiB", "0MiB", "1 mib", "99999999999TiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
