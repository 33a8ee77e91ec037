//! `Range` of a request (RFC 9110, section 14): one range of bytes. What is none is passed over, as the RFC wants it.

/// Bytes from `start` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Range {
    /// `None` is no range of bytes, or several; `Err` lies behind the end.
    pub(super) fn parse(header: &str, length: u64) -> Option<Result<Self, ()>> {
        let range = header.strip_prefix("bytes=")?;
        let (first, last) = range.split_once('-')?;
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let (start, end) = match (first.trim(), last.trim()) {
            ("", last) => (length.saturating_sub(number(last)?), length),
            (first, "") => (number(first)?, length),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                (first, last.saturating_add(1).min(length))
            }
        };
        Some(match start < end {
            true => Ok(Self { start, end }),
            false => Err(()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_has_them() {
        let range = |header| Range::parse(header, 100);
        let some = |start, end| Some(Ok(Range { start, end }));
        assert_eq!(range("bytes=0-9"), some(0, 10));
        assert_eq!(range("bytes=90-"), some(90, 100));
        assert_eq!(range("bytes=90-500"), some(90, 100));
        assert_eq!(range("bytes=-5"), some(95, 100));
        assert_eq!(range("bytes=-500"), some(0, 100));
        assert_eq!(range("bytes=100-"), Some(Err(())));
        for none in [
            "",
            "bytes",
            "bytes=",
            "bytes=a-b",
            "bytes=9-3",
            "bytes=0-1,5-6",
            "lines=1-2",
            "bytes=-",
        ] {
            assert_eq!(range(none), None, "{none}");
        }
        let huge = "bytes=0-18446744073709551615";
        assert_eq!(range(huge), some(0, 100));
    }
}
