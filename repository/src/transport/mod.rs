//! Transfers, each in a process of its own.
//!
//! ```text
//! caller (holds the mirror's lock)                         child: this program again, in the mirror's directory
//!   Transport::run --standard input: one Request, JSON-->    serve: libgit2 asks the host, writes packs and references
//!              <--standard output: Lines of JSON--             how far it is, at last what came of it
//!              kills it, and waits for its end, when the Watch says so or nothing has come for too long
//! ```
//! libgit2 has no bound for a host that says nothing, and is C that reads what hosts say: neither is to hold or to harm a
//! process that does anything else. Secrets go by the pipe, never by arguments or the environment. The child dies with the
//! thread that waits for it (`PR_SET_PDEATHSIG`). What it says is bounded and parsed strictly: a host might have taken it over.
//!
//! Neighbours: [`crate::transfer`] asks for it; `upkeep` clears away what a killed child has left.

mod authorities;
mod child;
mod message;
mod parent;
mod patience;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, Url};

pub use child::serve;
pub(crate) use message::Request;

/// What one transfer may take. A host that goes beyond it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// How long nothing may come of the host, or of work on what has come.
    pub silence: Duration,
    /// How long all of it may take.
    pub longest: Duration,
    /// How much the host may send, bytes.
    pub bytes: u64,
    /// How much memory the process may have of its own (`RLIMIT_DATA` of getrlimit(2)), bytes: a pack of a few kilobytes can
    /// unfold to any size. What it maps of packs does not count.
    pub memory: u64,
}

impl Default for Bounds {
    /// A minute, an hour, 20 GiB, 4 GiB.
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(60),
            longest: Duration::from_secs(60 * 60),
            bytes: 20 << 30,
            memory: 4 << 30,
        }
    }
}

impl Bounds {
    fn too_much(&self, url: &Url) -> Error {
        Error::TooMuch {
            url: url.to_string(),
            message: format!("it has more than {} bytes", self.bytes),
        }
    }
}

/// How processes for transfers are made.
#[derive(Clone)]
pub struct Transport {
    command: Arc<dyn Fn() -> Command + Send + Sync>,
    bounds: Bounds,
}

impl Transport {
    /// `command` makes the command of a program that calls [`serve`] and nothing else. Of this process's environment the
    /// child gets what says where its user, proxies and certificate authorities are, and what `command` sets itself.
    pub fn new(command: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        Self {
            command: Arc::new(command),
            bounds: Bounds::default(),
        }
    }

    pub(crate) const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The same, with other bounds.
    #[must_use]
    pub const fn within(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
