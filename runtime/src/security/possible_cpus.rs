//! Which processors the kernel may ever bring up: `/sys/devices/system/cpu/possible`, such as `0-3` or `0,2-5`.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// More processors than any kernel is built for (`CONFIG_NR_CPUS` is at most 8192).
pub const MAX_CPU: u32 = 8191;

/// A list of processors, in the file's order.
///
/// Source: the kernel's `Documentation/admin-guide/cputopology.rst`, "cpulist" format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuRanges(Vec<RangeInclusive<u32>>);

/// Why a list of processors could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CpuRangesError {
    /// A part is neither `N` nor `N-M`.
    #[error("parse `{part}` as a processor or a range of processors")]
    Malformed {
        /// The part, as it stood between commas.
        part: String,
    },
    /// A processor is beyond [`MAX_CPU`].
    #[error("accept processor {cpu}, which is beyond {MAX_CPU}")]
    TooLarge {
        /// Its number.
        cpu: u32,
    },
}

impl CpuRanges {
    /// Every processor of the list.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().cloned().flatten()
    }
}

impl FromStr for CpuRanges {
    type Err = CpuRangesError;

    fn from_str(text: &str) -> Result<Self, CpuRangesError> {
        text.trim_end_matches('\n')
            .split(',')
            .map(parse_part)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn parse_part(part: &str) -> Result<RangeInclusive<u32>, CpuRangesError> {
    let malformed = || CpuRangesError::Malformed {
        part: part.to_owned(),
    };
    let number = |digits: &str| -> Result<u32, CpuRangesError> {
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed()); // `u32::from_str` takes a sign
        }
        digits.parse().map_err(|_| malformed())
    };
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(malformed());
    }
    if last > MAX_CPU {
        return Err(CpuRangesError::TooLarge { cpu: last });
    }
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(text: &str) -> Result<Vec<u32>, CpuRangesError> {
        text.parse::<CpuRanges>()
            .map(|ranges| ranges.iter().collect())
    }

    #[test]
    fn single_processors_and_ranges_are_read() {
        assert_eq!(cpus("0\n"), Ok(vec![0]));
        assert_eq!(cpus("0-3"), Ok(vec![0, 1, 2, 3]));
        assert_eq!(cpus("0,2-3,7\n"), Ok(vec![0, 2, 3, 7]));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "\n",
            "a",
            "+1",
            "-1",
            "1-",
            "3-1",
            "0,,2",
            "0-4294967296",
            "1 ",
        ] {
            assert!(
                matches!(cpus(text), Err(CpuRangesError::Malformed { .. })),
                "{text:?}"
            );
        }
        assert_eq!(cpus("0-8192"), Err(CpuRangesError::TooLarge { cpu: 8192 }));
    }
}
