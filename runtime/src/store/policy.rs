//! When the source is asked although the image is here.

use crate::image::Source;

/// When the source is asked although the image is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Every time; only what has changed is fetched. A registry that is unavailable is forgiven when the image is here,
    /// with a warning ([`super::Progress::Stale`]).
    Always,
    /// Only when the image is not here.
    IfMissing,
}

impl PullPolicy {
    /// A digest never means anything else, so it is not asked about again; a tag moves.
    #[must_use]
    pub fn of(source: &Source) -> Self {
        match source {
            Source::Registry(reference) if reference.digest().is_some() => Self::IfMissing,
            _ => Self::Always,
        }
    }
}
