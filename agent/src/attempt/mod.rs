//! An attempt at a server's job on this machine: what its process and the daemon have in common.
//!
//! ```text
//! daemon --[standard input: Input, then Orders]--> `agent job` --[files of Spool; standard output: a byte when there is news]--> daemon
//! ```
//! The process writes, the daemon reads and sends. What is on the disk is the truth: it survives both.

mod input;
mod sink;
mod spool;

pub use input::{ANSWER, Heard, Input, InputError, Order, Orders};
pub use sink::{News, Spooled, poke};
pub use spool::{Finished, Spool, SpoolError};
