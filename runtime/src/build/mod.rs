//! Images from Dockerfiles, on this runtime: no daemon, no root.
//!
//! ```text
//! Dockerfile -> stages that the target needs, in order -> each instruction:
//!   RUN           a container on the layers so far; what it wrote is the next layer
//!   COPY, ADD     files of the context or of another root, put into the root by a worker that has entered it
//!   the others    the configuration
//! -> configuration and layers in the store, under names
//! ```
//!
//! A layer has the diff ID of what is in it. What an instruction has made is found again by a digest of all that it was made from:
//! the layers below, what it says, the files it copies, the variables it sees. Neighbours: `dockerfile` reads, `store` keeps,
//! `zygote` runs; [`Host`] is whoever wants the image: images, networks and a place for what is told come from there.

mod config;
mod context;
mod copy;
mod execute;
mod failure;
mod from;
mod metadata;
mod needed;
mod run;
mod stage;
mod variables;

pub use context::{Context, ContextError};
pub use failure::{BuildFailure, FailureKind};

use std::collections::BTreeMap;

use crate::container::Resources;
use crate::dockerfile::Dockerfile;
use crate::image::{Digest, Reference, Source};
use crate::layer::BoxFuture;
use crate::network::Interface;
use crate::store::{Image, Store};
use crate::zygote::Zygote;

/// What is to be built.
#[derive(Debug)]
pub struct Request<'a> {
    /// From what.
    pub dockerfile: &'a Dockerfile,
    /// From which files.
    pub context: &'a Context,
    /// Up to which stage; the last one if it is not said.
    pub target: Option<&'a str>,
    /// Values of `ARG`s.
    pub args: &'a BTreeMap<String, String>,
    /// What an earlier build has made of the same is taken.
    pub uses_cache: bool,
    /// What it is to be called; without any, it gets one of its id.
    pub names: &'a [Reference],
}

/// With what it is built.
#[derive(Debug, Clone, Copy)]
pub struct Tools<'a> {
    /// Runs containers and workers.
    pub zygote: &'a Zygote,
    /// Keeps what is made.
    pub store: &'a Store,
    /// Who wants it.
    pub host: &'a dyn Host,
}

/// Who wants an image.
pub trait Host: Send + Sync + std::fmt::Debug {
    /// Makes sure that an image is here.
    fn image<'a>(
        &'a self,
        source: &'a Source,
        text: &'a str,
    ) -> BoxFuture<'a, Result<Image, Refusal>>;

    /// What [`Self::network`] lets a `RUN` reach: the same text for the same, so that a layer is not taken for another's.
    fn network_key(&self) -> String;

    /// A network for one `RUN`.
    fn network(&self) -> BoxFuture<'_, Result<Connection, Refusal>>;

    /// What a `RUN` may use.
    fn resources(&self) -> Resources;

    /// Hears what goes on.
    fn say(&self, news: News<'_>);
}

/// The network of a `RUN`.
#[derive(Debug)]
pub enum Connection {
    /// None.
    None,
    /// The machine's.
    Host,
    /// A place in a private one.
    Private(Interface),
}

/// Why a [`Host`] did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of failure that is.
    pub kind: FailureKind,
    /// In words.
    pub message: String,
}

/// What goes on.
#[derive(Debug, Clone, Copy)]
pub enum News<'a> {
    /// An instruction begins.
    Step {
        /// Counted from 1.
        number: usize,
        /// How many there are.
        total: usize,
        /// As written.
        text: &'a str,
    },
    /// What it makes was made before.
    Cached,
    /// A `RUN` wrote this.
    Output(&'a [u8]),
    /// Something is odd.
    Warning(&'a str),
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The digest of its configuration.
    pub id: Digest,
    /// What it is called, as kept.
    pub names: Vec<String>,
}

/// Builds an image.
///
/// # Errors
/// See [`BuildFailure`]; each names its place in the Dockerfile.
pub async fn build(request: &Request<'_>, tools: Tools<'_>) -> Result<Built, BuildFailure> {
    execute::execute(request, tools).await
}

/// The moment, as RFC 3339 has it, in UTC.
fn now() -> String {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    written(since.as_secs())
}

/// Seconds since 1970 as RFC 3339 has them (the days after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn written(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = year_of_era + era * 400 + carry;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_everywhere() {
        assert_eq!(written(0), "1970-01-01T00:00:00Z");
        assert_eq!(written(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(written(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(written(4_102_444_799), "2099-12-31T23:59:59Z");
    }
}
