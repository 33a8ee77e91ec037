//! Layers: from a compressed stream of a tar archive to a directory that overlayfs can stack.
//!
//! ```text
//! stream -> decompress -> hash (the diff ID) -> headers -> files under the target
//!                                                  '----> recording
//! target + recording -> the same stream once more ([`pack`]), or what has changed since ([`check`])
//! ```
//!
//! [`unpack`] is synchronous and meant for a worker process inside the container's user namespace; the agent's side
//! reaches it through [`LayerWorker`]. The archive is hostile until proven otherwise: every parent is resolved with
//! `openat2(RESOLVE_IN_ROOT)`, nothing is followed at the last component, everything is bounded by [`Limits`].
//!
//! Neighbours: `store` decides what to unpack, under which name and whether to keep it.

mod check;
mod compression;
mod entry;
mod error;
mod expected;
mod extract;
mod form;
mod gather;
mod header;
mod inline;
mod measure;
mod metadata;
mod opaque;
mod pack;
mod path;
mod pax;
mod place;
mod pump;
mod recording;
mod remove;
mod replay;
mod restore;
mod rules;
mod squashfs;
mod stream;
mod transfer_error;
mod tree;
mod unpack;
mod whiteout;
mod worker;
mod writer;

#[cfg(test)]
pub(crate) mod testing;

pub use check::{Checked, check};
pub use compression::Compression;
pub use error::{Change, Exceeded, Fault, Operation, Refusal, UnpackError};
pub use form::{Form, unpack_form};
pub(crate) use form::{file_in, is_archive, starts_as_bundle};
pub use gather::{Gathered, Selection, gather};
pub use inline::inline;
pub(crate) use measure::measure;
pub use metadata::OVERRIDE_STAT;
pub(crate) use pack::pack_changes;
pub use pack::{Packed, pack};
pub use place::Placement;
pub(crate) use place::{Owner, make_directories, place};
pub use remove::remove;
pub(crate) use remove::remove_entry;
pub use restore::Restored;
pub(crate) use restore::{Into, restore};
pub use rules::Rules;
pub use transfer_error::TransferError;
pub use unpack::{Limits, Unpacked, unpack};
pub use worker::{BoxFuture, InProcess, LayerWorker};
pub(crate) use worker::{make, open_layer};

pub(crate) use compression::decoder;
pub(crate) use entry::{Archive, Entry, Input, Kind};
pub(crate) use error::printable;
pub(crate) use path::EntryPath;
pub(crate) use pax::Time;
pub(crate) use remove::list;
pub(crate) use writer::Writer;
