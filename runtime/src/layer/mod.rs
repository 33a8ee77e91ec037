//! Layers: from a compressed stream of a tar archive to a directory that overlayfs can stack.
//!
//! ```text
//! stream -> decompress -> hash (the diff ID) -> headers -> files under the target
//! ```
//!
//! [`unpack`] is synchronous and meant for a worker process inside the container's user namespace; the agent's side
//! reaches it through [`LayerWorker`]. The archive is hostile until proven otherwise: every parent is resolved with
//! `openat2(RESOLVE_IN_ROOT)`, nothing is followed at the last component, everything is bounded by [`Limits`].
//!
//! Neighbours: `store` decides what to unpack, under which name and whether to keep it.

mod compression;
mod entry;
mod error;
mod extract;
mod header;
mod metadata;
mod path;
mod pax;
mod pump;
mod remove;
mod stream;
mod tree;
mod unpack;
mod whiteout;
mod worker;

#[cfg(test)]
pub(crate) mod testing;

pub use compression::Compression;
pub use error::{Exceeded, Fault, Operation, Refusal, UnpackError};
pub use metadata::OVERRIDE_STAT;
pub use remove::remove;
pub(crate) use remove::remove_entry;
pub use unpack::{Limits, Unpacked, unpack};
pub(crate) use worker::make;
pub use worker::{BoxFuture, InProcess, LayerWorker};

pub(crate) use compression::decoder;
pub(crate) use entry::{Archive, Input, Kind};
