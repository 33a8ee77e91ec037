//! What the commands do: one `execute` each.

pub mod doctor;
mod error;
pub mod lint;
mod predefined;
pub mod run_local;
mod signals;

pub use error::CommandError;
