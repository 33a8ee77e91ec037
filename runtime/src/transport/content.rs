//! A layer's bytes, as they are stored: from a registry or from a file.

use bytes::Bytes;

use super::error::TransportError;
use super::files::Part;
use crate::registry::Blob;

/// A layer's bytes.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    Blob(Box<Blob<'a>>),
    Part(Part),
    /// A file that is read in no order, from its current position.
    Whole(std::fs::File),
}

impl Content<'_> {
    /// The next bytes; `None` after the last, when they are what they should be. What came before an error must not be
    /// kept.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        Ok(match self {
            Self::Blob(blob) => blob.chunk().await?,
            Self::Part(part) => part.chunk().await?,
            // Handed over as it is.
            Self::Whole(_) => None,
        })
    }
}
