//! The harness of the system tests: it drives the built binary as a user would, and knows nothing of its insides.
//!
//! ```text
//! for_everyone!(a_test)                one #[test] for each way to run containers
//!   TestEnvironment                    a HOME, a data directory, a project; owned by that user
//!     .agent(["run-local"]).run()      the binary, as that user, with an environment of its own -> Finished
//!   nothing of it may be left          processes, mounts, scratch directories
//! ```
//!
//! [`Registry`] is Debian's registry with what a test pushes; [`FaultServer`] is a registry that misbehaves on purpose;
//! [`images`] finds what `tests/images/make` made. A test that a machine cannot run says `skipped: why` on standard
//! error, or fails where `SLIPWAY_TEST_SKIP_NOTHING` is set, as `tests/run` does.

mod agent;
mod environment;
mod fault_server;
pub mod images;
mod leaks;
mod normalise;
mod registry;
mod run;
mod served_image;
mod skip;
pub mod wait;
mod who;

pub use agent::{Agent, Finished, Running};
pub use environment::TestEnvironment;
pub use fault_server::{Answer, Cut, FaultServer, Request};
pub use registry::{PASSWORD, Registry, USER};
pub use run::run;
pub use served_image::ServedImage;
pub use skip::{Skip, skip};
pub use who::Who;
