//! Slipway's agent: the executor that turns plans into containers and events, and the command line around it.
//!
//! ```text
//! cli (what was typed) --> command (does it) --> executor --> backend (containers)
//!                                                   '--> log (spool) --> sink (terminal, pipe, JSON lines)
//!                           |--> door (single containers by hand)
//!                           '--> oci (bundles, for callers of OCI runtimes)
//! ```

pub mod artifacts;
pub mod assignments;
pub mod attempt;
pub mod backend;
pub mod building;
pub mod caches;
mod chain;
pub mod cli;
mod clock;
pub mod command;
pub mod config;
pub mod daemon;
pub mod door;
mod enforcement;
pub mod executor;
pub mod exit_code;
mod images;
pub mod limits;
pub mod log;
pub mod machine;
pub mod mask;
pub mod networks;
pub mod oci;
mod open_files;
pub mod output;
mod places;
pub mod ports;
pub mod program;
pub mod retention;
pub mod secrets;
pub mod sink;
pub mod source;
pub mod sources;
mod system_error;
pub mod tracing_output;
pub mod workspace;
