//! What the commands do: one `execute` each.

pub mod build;
pub mod caches;
mod compiled;
mod connection;
pub mod containers;
pub mod df;
mod diagnostics;
pub mod doctor;
mod error;
pub mod exec;
pub mod explain;
pub mod git_transport;
mod graph;
pub mod image;
pub mod job;
pub mod lint;
mod listing;
pub mod login;
pub mod oci;
pub mod plan;
mod predefined;
mod printing;
pub mod ps;
pub mod pull;
pub mod run;
pub mod run_local;
pub mod schema;
pub mod server;
pub mod service;
mod services;
mod signals;
pub mod start;
pub mod stats;

pub use error::CommandError;
