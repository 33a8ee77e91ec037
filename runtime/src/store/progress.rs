//! What a pull tells while it runs.

use super::error::PullError;

/// What a pull tells while it runs. Layers are told apart by their names in the store.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The image is known; fetching begins unless `missing` is 0.
    Resolved {
        /// Layers in all.
        layers: usize,
        /// Of them, not in the store.
        missing: usize,
        /// To be fetched, as stored at the source.
        bytes: u64,
    },
    /// Bytes of a layer have arrived.
    Fetching {
        /// Which.
        layer: &'a str,
        /// So far.
        done: u64,
        /// In all.
        total: u64,
    },
    /// Another pull is busy with the layer; this one waits for it.
    Waiting {
        /// Which.
        layer: &'a str,
    },
    /// A layer is in the store.
    Unpacked {
        /// Which.
        layer: &'a str,
        /// Files, directories and links.
        entries: u64,
        /// Uncompressed bytes.
        size: u64,
    },
    /// A warning: the registry is unavailable, the image as it was last pulled is used.
    Stale {
        /// Why the registry was of no use.
        error: &'a PullError,
    },
    /// A warning: the image's programs are for another processor.
    Foreign {
        /// The image's.
        image: &'a str,
        /// This machine's.
        host: &'a str,
    },
}
