//! The names of an attempt's streams.

use std::fmt;
use std::str::FromStr;

use pipelines::plan::is_artifact_name;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};
use utoipa::{PartialSchema, ToSchema};

/// A stream of bytes that an attempt leaves: a log, the times of its bytes, or an artifact.
///
/// `step-3`, `service-db`, and each of them with `.times` behind it; `artifact-NAME` and `cache-0`, which are kept whole. A times stream has lines `OFFSET UNIX_MS\n`, both
/// decimal: the log's bytes from that offset on came at that time. Offsets grow. A line's time is that of its first byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamName {
    /// Whose it is.
    pub kind: StreamKind,
    /// The times of the log's bytes instead of the log.
    pub times: bool,
}

/// Whose log a stream is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    /// The step at this place in the job, from 0: those of `steps`, then those of `after`.
    Step(u32),
    /// The service of this name.
    Service(String),
    /// The archive of the artifact of this name, which has no times.
    Artifact(String),
    /// The archive of a cache, counted from 0, which has none either.
    Cache(u32),
}

/// A text is not the name of a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a stream is called `step-N` or `service-NAME`, with `.times` behind it for the times of its bytes, or `artifact-NAME`, or `cache-N`"
)]
pub struct StreamNameError;

impl StreamName {
    /// The log of a step.
    #[must_use]
    pub const fn step(index: u32) -> Self {
        Self {
            kind: StreamKind::Step(index),
            times: false,
        }
    }

    /// The log of a service; `None` when none can be called so.
    #[must_use]
    pub fn service(name: &str) -> Option<Self> {
        is_service(name).then(|| Self {
            kind: StreamKind::Service(name.to_owned()),
            times: false,
        })
    }

    /// The archive of an artifact; `None` when none can be called so.
    #[must_use]
    pub fn artifact(name: &str) -> Option<Self> {
        is_artifact_name(name).then(|| Self {
            kind: StreamKind::Artifact(name.to_owned()),
            times: false,
        })
    }

    /// The name of the artifact, when it is one's archive.
    #[must_use]
    pub const fn as_artifact(&self) -> Option<&str> {
        match &self.kind {
            StreamKind::Artifact(name) => Some(name.as_str()),
            StreamKind::Step(_) | StreamKind::Service(_) | StreamKind::Cache(_) => None,
        }
    }

    /// The archive of a cache.
    #[must_use]
    pub const fn cache(number: u32) -> Self {
        Self {
            kind: StreamKind::Cache(number),
            times: false,
        }
    }

    /// Whether it is the archive of a cache.
    #[must_use]
    pub const fn is_cache(&self) -> bool {
        matches!(self.kind, StreamKind::Cache(_))
    }

    /// Whether it is an archive, which is kept whole, and no log.
    #[must_use]
    pub const fn is_archive(&self) -> bool {
        matches!(self.kind, StreamKind::Artifact(_) | StreamKind::Cache(_))
    }

    /// The stream with the times of this log's bytes.
    #[must_use]
    pub fn times_of(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            times: true,
        }
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            StreamKind::Step(index) => write!(f, "step-{index}")?,
            StreamKind::Service(name) => write!(f, "service-{name}")?,
            StreamKind::Artifact(name) => write!(f, "artifact-{name}")?,
            StreamKind::Cache(number) => write!(f, "cache-{number}")?,
        }
        f.write_str(if self.times { ".times" } else { "" })
    }
}

impl FromStr for StreamName {
    type Err = StreamNameError;

    fn from_str(text: &str) -> Result<Self, StreamNameError> {
        if let Some(name) = text.strip_prefix("artifact-") {
            return Self::artifact(name).ok_or(StreamNameError);
        }
        if let Some(number) = text.strip_prefix("cache-") {
            return index(number).map(Self::cache);
        }
        let (log, times) = match text.strip_suffix(".times") {
            Some(log) => (log, true),
            None => (text, false),
        };
        let (kind, name) = log.split_once('-').ok_or(StreamNameError)?;
        let kind = match kind {
            "step" => StreamKind::Step(index(name)?),
            "service" if is_service(name) => StreamKind::Service(name.to_owned()),
            _ => return Err(StreamNameError),
        };
        Ok(Self { kind, times })
    }
}

/// A decimal number without superfluous zeros, so that a stream has one name.
fn index(text: &str) -> Result<u32, StreamNameError> {
    let index: u32 = text.parse().map_err(|_| StreamNameError)?;
    if index.to_string() == text && index < 65_536 {
        Ok(index)
    } else {
        Err(StreamNameError)
    }
}

/// The language's rule for the names of services.
fn is_service(name: &str) -> bool {
    let inner =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(inner)
}

impl PartialSchema for StreamName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(
                r"^((step-[0-9]{1,5}|service-[a-z0-9_-]{1,64})(\.times)?|artifact-[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}|cache-[0-9]{1,5})$",
            ))
            .into()
    }
}

impl ToSchema for StreamName {}

impl TryFrom<String> for StreamName {
    type Error = StreamNameError;

    fn try_from(text: String) -> Result<Self, StreamNameError> {
        text.parse()
    }
}

impl From<StreamName> for String {
    fn from(name: StreamName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in [
            "step-0",
            "step-1023.times",
            "service-db",
            "service-a_b-1.times",
            "artifact-binary",
            "artifact-x.times",
            "artifact--a.b_C",
            "cache-0",
        ] {
            let parsed: StreamName = name.parse().unwrap();
            assert_eq!(parsed.to_string(), name);
        }
    }

    #[test]
    fn nothing_else_is_a_name() {
        for name in [
            "",
            "step",
            "step-",
            "step-01",
            "step--1",
            "step-+1",
            "step-99999",
            "service-",
            "service-A",
            "service-../x",
            "service-a.b",
            "step-1.times.times",
            "log-1",
            "cache-",
            "cache-01",
            "cache-0.times",
            "cache-x",
            "artifact-",
            "artifact-.x",
            "artifact-a/b",
            "artifact-a~1",
            "/",
            "step-1/../2",
        ] {
            assert!(name.parse::<StreamName>().is_err(), "{name}");
        }
    }
}
