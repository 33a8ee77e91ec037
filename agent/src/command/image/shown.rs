//! An image in JSON, and its names as people write them.

use std::time::SystemTime;

use runtime::store::Stored;
use serde::Serialize;
use serde_json::Value;

use crate::command::CommandError;

/// An image, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    name: &'a str,
    id: String,
    digest: Option<String>,
    size: u64,
    shared: u64,
    own: u64,
    created: Option<String>,
    /// Unix milliseconds.
    used: u64,
    local: bool,
    complete: bool,
    in_use: bool,
}

impl<'a> Shown<'a> {
    pub(super) fn of(image: &'a Stored) -> Self {
        Self {
            name: short(&image.name),
            id: image.id.to_string(),
            digest: image.digest.map(|digest| digest.to_string()),
            size: image.size,
            shared: image.shared,
            own: image.size.saturating_sub(image.shared),
            created: created(image),
            used: unix_ms(image.used),
            local: image.is_local,
            complete: !image.is_incomplete,
            in_use: image.in_use,
        }
    }
}

/// The name without the transport that is meant where there is none.
pub(in crate::command) fn short(name: &str) -> &str {
    name.strip_prefix("docker://").unwrap_or(name)
}

/// When the image was made, as its configuration says it (RFC 3339).
pub(super) fn created(image: &Stored) -> Option<String> {
    let config: Value = serde_json::from_slice(&image.config).ok()?;
    let text = config.get("created")?.as_str()?;
    // A text of somebody else's: only what is a time is repeated.
    text.parse::<jiff::Timestamp>().ok()?;
    Some(text.to_owned())
}

pub(super) fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

pub(in crate::command) fn to_json(value: &impl Serialize) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(value);
    Ok(text.map_err(|error| CommandError::Write(error.to_string()))? + "\n")
}
