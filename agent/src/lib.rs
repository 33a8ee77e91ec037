//! Slipway's agent: the executor that turns plans into containers and events, and the command line around it.
//!
//! ```text
//! cli (what was typed) --> command (does it) --> executor --> backend (containers)
//!                                                   '--> log (spool) --> sink (terminal, pipe, JSON lines)
//! ```

pub mod backend;
mod chain;
pub mod cli;
mod clock;
pub mod command;
pub mod config;
pub mod executor;
pub mod exit_code;
pub mod log;
pub mod machine;
pub mod output;
pub mod sink;
pub mod tracing_output;
pub mod workspace;
