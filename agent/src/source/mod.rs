//! The server, as its agents and its users reach it.
//!
//! [`Client`] makes calls, [`CallError`] says what came of one that failed and whether another attempt may go better, and
//! [`Backoff`] how long to wait before it.

mod backoff;
mod client;
mod error;
mod follow;
mod patience;
mod persist;
mod pieces;
mod url;

pub use backoff::Backoff;
pub use client::{Client, Trust};
pub use error::CallError;
pub use follow::{Followed, Follower};
pub use patience::Patience;
pub use persist::persist;
pub use pieces::Pieces;
pub use url::{ServerUrl, ServerUrlError};
