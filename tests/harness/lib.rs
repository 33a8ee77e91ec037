//! The harness of the system tests: it drives the built binary as a user would, and knows nothing of its insides.
//!
//! ```text
//! for_everyone!(a_test)                one #[test] for each way to run containers
//!   TestEnvironment                    a HOME, a data directory, a project; owned by that user
//!     .agent(["run-local"]).run()      the binary, as that user, with an environment of its own -> Finished
//!     .on_terminal().spawn()           the same at a terminal, with keys to press and a screen to look at -> Running
//!   nothing of it may be left          processes, mounts, scratch directories
//! ```
//!
//! [`Registry`] is Debian's registry with what a test pushes; [`FaultServer`] is a registry that misbehaves on purpose;
//! [`Service`] is a server that does as a test says; [`Proxy`] stands before one; [`Docker`] is Docker's daemon; [`World`] is a network for the machine and what is in it; [`images`] finds what `tests/images/make` made. A test that a machine cannot run says `skipped: why` on standard
//! error, or fails where `SLIPWAY_TEST_SKIP_NOTHING` is set, as `tests/run` does.

mod agent;
mod authority;
mod capture;
mod database;
mod docker;
mod environment;
mod fault_server;
mod finished;
pub mod images;
mod leaks;
mod listener;
mod network_namespaces;
mod normalise;
mod proxy;
mod registry;
mod run;
mod running;
mod served_image;
mod service;
mod skip;
mod terminal;
pub mod wait;
mod who;
mod world;

pub use agent::Agent;
pub use authority::Authority;
pub use database::Database;
pub use docker::Docker;
pub use environment::{TestEnvironment, binary, weakened_binary};
pub use fault_server::{Answer, Cut, FaultServer, Request};
pub use finished::Finished;
pub use network_namespaces::NetworkNamespaces;
pub use proxy::Proxy;
pub use registry::{PASSWORD, Registry, USER};
pub use run::run;
pub use running::Running;
pub use served_image::ServedImage;
pub use service::{AttemptState, Faults, Service};
pub use skip::{Skip, skip};
pub use who::Who;
pub use world::{MACHINE, SERVER, World, within};
