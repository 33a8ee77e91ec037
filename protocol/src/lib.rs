//! The wire types between agent and server, and what both have to understand in the same way.
//!
//! What a run says about itself are [`Event`]s: `--json` prints them, one a line, and an agent sends them to its server.
//! [`service`] is everything else that passes between them and to users.

pub mod cache;
mod cause;
mod condition;
mod digest;
mod event;
pub mod service;
mod values;

pub use cause::{Cause, Skip};
pub use condition::{Decision, decide, hears_failures};
pub use digest::is_sha256;
pub use event::{Conclusion, Event, Output, Protocol, Usage, WorkspaceMode};
pub use values::{EventValues, RunValues};
