//! Whether everything is what it was when it was pulled: documents by their digests, layers by their diff IDs and trees.

use std::collections::HashMap;

use super::Store;
use super::error::StoreError;
use super::images::Stored;
use crate::image::{Config, Digest};
use crate::layer::{Checked, LayerWorker, UnpackError};

/// What is wrong with an image, or cannot be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// Gone, or another digest than its name.
    #[error("the {what} {digest} is missing or damaged")]
    Document {
        /// Which of the two documents.
        what: &'static str,
        /// Its name.
        digest: Digest,
    },
    /// The configuration speaks of other layers.
    #[error("the configuration is of other layers than the image")]
    Layers,
    /// Not in the store.
    #[error("layer {layer} is missing")]
    Missing {
        /// Its diff ID's digits.
        layer: String,
    },
    /// Its content is another.
    #[error("layer {layer} has the diff ID {actual}")]
    DiffId {
        /// Its diff ID's digits.
        layer: String,
        /// What its files make now.
        actual: Digest,
    },
    /// A file of it is another.
    #[error("layer {layer}: {difference}")]
    Changed {
        /// Its diff ID's digits.
        layer: String,
        /// What and how.
        difference: UnpackError,
    },
    /// More than are listed.
    #[error("layer {layer}: {count} more differences")]
    More {
        /// Its diff ID's digits.
        layer: String,
        /// How many.
        count: u64,
    },
    /// It cannot be looked at.
    #[error("layer {layer} cannot be checked: {reason}")]
    Unreadable {
        /// Its diff ID's digits.
        layer: String,
        /// Why.
        reason: String,
    },
}

/// What looking at an image has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Layers whose content was proven by their diff IDs.
    pub layers: usize,
    /// Files, directories and links that were looked at.
    pub entries: u64,
    /// Layers of which nothing but their being there can be said: they were unpacked from an archive that replaces its own
    /// files, and have no recording.
    pub unrecorded: Vec<String>,
    /// Layers that are damaged.
    pub damaged: Vec<String>,
}

impl Store {
    /// Looks at images; a layer that several have is looked at once.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn verify(
        &self,
        images: &[Stored],
        worker: &dyn LayerWorker,
    ) -> Result<Vec<Verified>, StoreError> {
        let mut known = HashMap::new();
        let mut all = Vec::new();
        for image in images {
            let mut verified = Verified::default();
            self.verify_documents(image, &mut verified);
            for layer in &image.layers {
                if !known.contains_key(layer) {
                    let looked = self.look_at(layer, worker).await?;
                    known.insert(layer.clone(), looked);
                }
                if let Some(looked) = known.get(layer) {
                    report(layer, looked, &mut verified);
                }
            }
            all.push(verified);
        }
        Ok(all)
    }

    /// Removes damaged layers, so that the next pull fetches them anew. How many were removed; those in use stay.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn discard(
        &self,
        layers: &[String],
        worker: &dyn LayerWorker,
    ) -> Result<usize, StoreError> {
        let mut count = 0;
        for layer in layers {
            let Some(_lock) = self.try_lock(layer)? else {
                continue;
            };
            if self.has_layer(layer) && !self.in_use()?.has_layer(layer) {
                self.discard_layer(layer, worker).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn verify_documents(&self, image: &Stored, verified: &mut Verified) {
        let Some(found) = self.record_of(image) else {
            return;
        };
        let record = found.record;
        for (what, digest) in [
            ("manifest", record.digest),
            ("configuration", record.config),
        ] {
            if let Some(digest) = digest.filter(|digest| self.read_blob(digest).is_none()) {
                verified.findings.push(Finding::Document { what, digest });
            }
        }
        let config = record
            .config_document(self)
            .and_then(|document| Config::parse(&document).ok());
        if config.is_some_and(|config| config.diff_ids != record.layers) {
            verified.findings.push(Finding::Layers);
        }
    }

    async fn look_at(&self, layer: &str, worker: &dyn LayerWorker) -> Result<Looked, StoreError> {
        // Nobody removes it while it is looked at.
        let _lock = self.lock_shared(layer).await?;
        if !self.has_layer(layer) {
            return Ok(Looked::Missing);
        }
        let Some(recording) = self.recording(layer)? else {
            return Ok(Looked::Unrecorded);
        };
        Ok(match worker.check(recording, layer).await {
            Ok(checked) => Looked::Checked(checked),
            Err(error) => Looked::Failed(error),
        })
    }
}

enum Looked {
    Missing,
    Unrecorded,
    Checked(Checked),
    Failed(UnpackError),
}

fn report(layer: &str, looked: &Looked, verified: &mut Verified) {
    let name = || layer.to_owned();
    match looked {
        Looked::Missing => verified.findings.push(Finding::Missing { layer: name() }),
        Looked::Unrecorded => verified.unrecorded.push(name()),
        Looked::Failed(error) => {
            verified.findings.push(Finding::Unreadable {
                layer: name(),
                reason: error.to_string(),
            });
            if matches!(error, UnpackError::Recording { .. }) {
                verified.damaged.push(name());
            }
        }
        Looked::Checked(checked) => {
            verified.entries += checked.entries;
            let before = verified.findings.len();
            match checked.diff_id {
                Some(actual) if actual.hex() == layer => verified.layers += 1,
                Some(actual) => verified.findings.push(Finding::DiffId {
                    layer: name(),
                    actual,
                }),
                None => {}
            }
            let changed = checked
                .differences
                .iter()
                .map(|difference| Finding::Changed {
                    layer: name(),
                    difference: difference.clone(),
                });
            verified.findings.extend(changed);
            let told = checked.differences.len() as u64;
            if checked.count > told {
                verified.findings.push(Finding::More {
                    layer: name(),
                    count: checked.count - told,
                });
            }
            if verified.findings.len() > before {
                verified.damaged.push(name());
            }
        }
    }
}
