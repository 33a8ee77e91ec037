//! The wire types between agent and server, and nothing else.
//!
//! Today that is what a run says about itself: the [`Event`]s that `--json` prints, one a line.

mod cause;
mod event;

pub use cause::{Cause, Skip};
pub use event::{Conclusion, Event, Output, Protocol, Usage, WorkspaceMode};
