//! Which images stay on this machine.
//!
//! ```yaml
//! images:
//!   older_than: 30d      # images not used for so long go
//!   max_size: 50GiB      # the ones used longest ago go until the rest takes at most so much
//! ```

use std::time::Duration;

use pipelines::units;
use serde::{Deserialize, Deserializer, de};

/// The configuration's `images`; without a limit every image stays until somebody removes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Images that were not used for so long go.
    #[serde(deserialize_with = "age")]
    pub older_than: Option<Duration>,
    /// Bytes that the layers may take together, uncompressed.
    #[serde(deserialize_with = "size")]
    pub max_size: Option<u64>,
}

impl Retention {
    /// What the store is asked for; `None` when everything stays.
    pub(crate) fn policy(&self) -> Option<runtime::store::Retention> {
        (*self != Self::default()).then_some(runtime::store::Retention {
            older_than: self.older_than,
            max_size: self.max_size,
            dry_run: false,
        })
    }
}

fn age<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let age = humantime::parse_duration(&text).map_err(|error| {
        de::Error::custom(format_args!(
            "older_than: {text:?} is not a duration such as 30d: {error}"
        ))
    });
    age.map(Some)
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let size = units::size(&text).ok_or_else(|| {
        de::Error::custom(format_args!(
            "max_size: {text:?} is not a size such as 512MiB"
        ))
    });
    size.map(Some)
}
