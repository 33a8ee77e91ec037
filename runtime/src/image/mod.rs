//! What an image is: where it is named ([`Source`], [`Reference`]) and what its documents say ([`Manifest`],
//! [`Index`], [`Config`]). Pure: text and bytes in, checked values out; no files, no network.
//!
//! Neighbours: `transport` and `registry` bring the bytes, `store` keeps them.

mod config;
mod descriptor;
mod digest;
mod healthcheck;
mod manifest;
mod object;
mod platform;
mod reference;
mod source;

pub use config::{Config, ConfigError};
pub use descriptor::{Descriptor, DescriptorError};
pub use digest::{Digest, DigestError, Hasher};
pub use healthcheck::Healthcheck;
pub use manifest::{Document, Index, MAX_LAYERS, MAX_MANIFEST, Manifest, ManifestError};
pub use platform::Platform;
pub use reference::{Reference, ReferenceError};
pub use source::{Source, SourceError};

pub(crate) use config::MAX_CONFIG;
