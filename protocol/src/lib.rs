//! The wire types between agent and server, and nothing else.
//!
//! Today that is what a run says about itself: the [`Event`]s that `--json` prints, one a line.

mod event;

pub use event::{Cause, Conclusion, Event, Output, Skip, Usage, WorkspaceMode};
