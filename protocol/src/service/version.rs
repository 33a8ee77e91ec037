//! Which version of the protocol both sides speak.
//!
//! A client names the range that it speaks in the header [`HEADER`]: `1`, or `1-3`. The server chooses the highest one that
//! both know and names it in the same header of its answer. When there is none it refuses with
//! [`ProblemCode::ProtocolVersion`](super::ProblemCode::ProtocolVersion) (426). Within a version fields are only ever added.

use std::ops::RangeInclusive;

/// The header's name.
pub const HEADER: &str = "slipway-protocol";

/// What this program speaks.
pub const SPOKEN: RangeInclusive<u32> = 1..=1;

/// The highest version that is both in `header` and in [`SPOKEN`]; `None` when there is none, or the header is no range.
///
/// ```
/// use protocol::service::version::agree;
///
/// assert_eq!(agree("1"), Some(1));
/// assert_eq!(agree("1-7"), Some(1));
/// assert_eq!(agree("2-7"), None);
/// assert_eq!(agree("one"), None);
/// ```
#[must_use]
pub fn agree(header: &str) -> Option<u32> {
    let header = header.trim();
    let (lowest, highest) = header.split_once('-').unwrap_or((header, header));
    let (lowest, highest): (u32, u32) = (lowest.parse().ok()?, highest.parse().ok()?);
    let best = highest.min(*SPOKEN.end());
    (best >= lowest && SPOKEN.contains(&best)).then_some(best)
}

/// What a client writes into the header.
#[must_use]
pub fn header() -> String {
    match (SPOKEN.start(), SPOKEN.end()) {
        (lowest, highest) if lowest == highest => highest.to_string(),
        (lowest, highest) => format!("{lowest}-{highest}"),
    }
}
