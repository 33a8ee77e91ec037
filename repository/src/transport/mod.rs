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

pub use child::serve;
pub(crate) use message::Request;

/// How long nothing may come of a host, or of work on what has come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How processes for transfers are made.
#[derive(Clone)]
pub struct Transport {
    command: Arc<dyn Fn() -> Command + Send + Sync>,
    patience: Duration,
}

impl Transport {
    /// `command` makes the command of a program that calls [`serve`] and nothing else. Of this process's environment the
    /// child gets what says where its user, proxies and certificate authorities are, and what `command` sets itself.
    pub fn new(command: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        Self {
            command: Arc::new(command),
            patience: PATIENCE,
        }
    }

    /// The same, with another bound than [`PATIENCE`].
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
