//! Which cache a job starts from, and where its own goes: the same on a server and on an agent that has no server. Pure.
//!
//! Every cache belongs to a scope of its repository ([`Scope`]). A job writes to one scope only, and reads that and those that
//! its own code could not have written to: whoever can change what is in a cache decides what those run that read it.

mod choice;
mod scope;

pub use choice::{Candidate, choose};
pub use scope::{Scope, Scopes};
