//! Images on this machine: documents by digest, unpacked layers by diff ID, and what each source was last seen to be.
//!
//! ```text
//! meta/   blobs/sha256/HEX   manifests and configurations
//!         images/HEX.json    one record a source and platform: which documents, which layers
//!         locks/KEY          one a layer and one a record, locked while it is made or removed
//!         leases/RANDOM      what each living process uses
//!         builds/KEY.json    which layer an instruction of a Dockerfile has made
//!         tmp/               blobs on their way; renamed when whole
//! layers/ HEX/               a layer, complete since it has this name
//!         HEX.json, HEX.recording    what is known of it
//!         KEY.RANDOM.tmp/    one being unpacked or removed, or left by a crash and swept
//! ```
//!
//! `meta` is the agent's own; what is in `layers` belongs to the users of a namespace, so that only a
//! [`crate::layer::LayerWorker`] can write or remove there. Nothing needs repair after a crash: a name appears when its
//! content is whole. Any number of agents may share a store; they wait for each other only for the same layer. What one of
//! them uses, no other removes.

mod blobs;
mod commit;
mod documents;
mod error;
mod export;
mod fetch;
mod gc;
mod images;
mod import;
mod layers;
mod lease;
mod lock;
mod policy;
mod progress;
mod pull;
mod record;
mod verify;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use commit::{CommitError, Made};
pub use error::{ErrorKind, PullError, StoreError};
pub use export::{Exported, SaveError, SaveFormat};
pub use gc::{Collected, Retention};
pub use images::{FindError, Stored, Usage, find};
pub use import::Named;
pub use policy::PullPolicy;
pub use progress::Progress;
pub use pull::Image;
pub use verify::{Finding, Verified};

use crate::image::Platform;
use error::Attempt;
use lease::Lease;

/// Images on this machine.
#[derive(Debug, Clone)]
pub struct Store {
    meta: PathBuf,
    layers: PathBuf,
    platform: Platform,
    lease: Arc<Lease>,
}

impl Store {
    /// Opens a store, or begins one. `layers` must exist already unless this process may make it: its owner matters to
    /// the worker.
    ///
    /// # Errors
    /// A directory cannot be made.
    pub fn open(meta: &Path, layers: &Path) -> Result<Self, StoreError> {
        use std::os::unix::fs::DirBuilderExt as _;
        for directory in [
            meta.join("blobs/sha256"),
            meta.join("images"),
            meta.join("locks"),
            meta.join("leases"),
            meta.join("tmp"),
        ] {
            let made = std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory);
            made.map_err(|source| StoreError::new(Attempt::MakeDirectory, &directory, source))?;
        }
        std::fs::create_dir_all(layers)
            .map_err(|source| StoreError::new(Attempt::MakeDirectory, layers, source))?;
        Ok(Self {
            meta: meta.to_owned(),
            layers: layers.to_owned(),
            platform: Platform::host(),
            lease: Arc::default(),
        })
    }

    /// The directory of a layer, by the name that [`Image::layers`] has for it.
    #[must_use]
    pub fn layer(&self, name: &str) -> PathBuf {
        self.layers.join(name)
    }

    /// Whether a layer is there, whole.
    fn has_layer(&self, name: &str) -> bool {
        self.layer(name).is_dir()
    }
}
