//! What a person asks of a store: which images there are, what one is, another name for it, none at all.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::SystemTime;

use super::Store;
use super::error::StoreError;
use super::gc::Collected;
use super::record::Found;
use crate::image::{Digest, Source};
use crate::layer::LayerWorker;

/// An image under one of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// As [`Source`] prints it.
    pub name: String,
    /// The digest of its configuration: the same image under every name, in every registry and engine.
    pub id: Digest,
    /// Of the manifest or index that the name stood for when it was pulled.
    pub digest: Option<Digest>,
    /// Names of layers, base first.
    pub layers: Vec<String>,
    /// Of those layers, uncompressed bytes; without those of which that is not known.
    pub size: u64,
    /// The part of `size` that images with another id have as well.
    pub shared: u64,
    /// When it was last asked for.
    pub used: SystemTime,
    /// The name was given on this machine.
    pub is_local: bool,
    /// Layers, or the configuration, that are not here: a pull fetches them.
    pub is_incomplete: bool,
    /// A living process of this store's uses it.
    pub in_use: bool,
    /// The configuration document; empty when it is not here.
    pub config: Vec<u8>,
    /// Of its record.
    pub(super) key: String,
}

/// What the store takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Images with different ids.
    pub images: usize,
    /// Of them, in use.
    pub images_in_use: usize,
    /// Layers.
    pub layers: usize,
    /// Of them, in use.
    pub layers_in_use: usize,
    /// Of the layers, uncompressed bytes.
    pub bytes: u64,
    /// Of them, of layers that nobody uses now.
    pub reclaimable: u64,
    /// Layers that no image has.
    pub orphans: usize,
    /// What pulls that were killed have left.
    pub remains: usize,
}

/// Why there is no such image.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Not by that name, and not by that id.
    #[error("there is no image `{0}` here")]
    Missing(String),
    /// The beginning of several ids.
    #[error("`{text}` is the beginning of the ids of several images: {}", names.join(", "))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// Names of those images.
        names: Vec<String>,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Every name of every image, the last used first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn images(&self) -> Result<Vec<Stored>, StoreError> {
        let records = self.records()?;
        let leases = self.in_use()?;
        let mut all: Vec<Stored> = records
            .iter()
            .map(|found| self.stored(found, leases.has_image(&found.key)))
            .collect();
        let mut ids: HashMap<&str, HashSet<Digest>> = HashMap::new();
        for image in &all {
            for layer in &image.layers {
                ids.entry(layer).or_default().insert(image.id);
            }
        }
        let shared: Vec<u64> = all
            .iter()
            .map(|image| {
                unique(&image.layers)
                    .filter(|layer| ids.get(layer).is_some_and(|ids| ids.len() > 1))
                    .map(|layer| self.size(layer))
                    .sum()
            })
            .collect();
        for (image, shared) in all.iter_mut().zip(shared) {
            image.shared = shared;
        }
        all.sort_by(|a, b| (b.used, &a.name).cmp(&(a.used, &b.name)));
        Ok(all)
    }

    /// The image of a name as a pipeline has it, relative paths under `base`; or of the beginning of its id, with or
    /// without `sha256:`. All names that have the id come, that one first.
    ///
    /// # Errors
    /// There is none, or several have ids that begin so.
    pub fn find(&self, text: &str, base: &Path) -> Result<Vec<Stored>, FindError> {
        find(&self.images()?, text, base)
    }

    /// Gives an image another name, which then stands for it on this machine, whatever a registry says.
    ///
    /// # Errors
    /// The image is gone, or the store cannot be written.
    pub async fn tag(&self, image: &Stored, name: &Source) -> Result<(), FindError> {
        let record = self
            .record_of(image)
            .ok_or_else(|| FindError::Missing(image.name.clone()))?;
        self.keep_record(name, &record.record.local(name)).await?;
        Ok(())
    }

    /// Takes names away, and removes the layers that no other image has and nobody uses.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn remove(
        &self,
        images: &[Stored],
        worker: &dyn LayerWorker,
    ) -> Result<Collected, StoreError> {
        let mut known = HashSet::new();
        let images = images.iter().filter(|image| known.insert(&image.key));
        let records: Vec<Found> = images.filter_map(|image| self.record_of(image)).collect();
        self.remove_records(&records, worker).await
    }

    /// What all of it takes.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let images = self.images()?;
        let leases = self.in_use()?;
        let layers = self.layer_names()?;
        let referenced: HashSet<&String> = images.iter().flat_map(|image| &image.layers).collect();
        let free = |layer: &&String| !leases.has_layer(layer);
        let count = |in_use: bool| {
            let ids = images.iter().filter(|image| image.in_use || !in_use);
            ids.map(|image| image.id).collect::<HashSet<_>>().len()
        };
        Ok(Usage {
            images: count(false),
            images_in_use: count(true),
            layers: layers.len(),
            layers_in_use: layers.len() - layers.iter().filter(free).count(),
            bytes: layers.iter().map(|layer| self.size(layer)).sum(),
            reclaimable: layers.iter().filter(free).map(|l| self.size(l)).sum(),
            orphans: layers
                .iter()
                .filter(|layer| !referenced.contains(layer))
                .count(),
            remains: self.remains()?,
        })
    }

    pub(super) fn record_of(&self, image: &Stored) -> Option<Found> {
        self.found(image.key.clone())
    }

    fn stored(&self, found: &Found, in_use: bool) -> Stored {
        let record = &found.record;
        let layers = record.layer_names();
        let config = record.config_document(self);
        let id = record
            .config
            .or_else(|| config.as_deref().map(Digest::of))
            .unwrap_or_else(|| Digest::of(b""));
        let is_partial =
            record.lacks_manifest(self) || !layers.iter().all(|layer| self.has_layer(layer));
        Stored {
            key: found.key.clone(),
            name: record.source().to_owned(),
            id,
            digest: record.digest,
            size: unique(&layers).map(|layer| self.size(layer)).sum(),
            shared: 0,
            used: found.used,
            is_local: record.is_local,
            is_incomplete: config.is_none() || is_partial,
            in_use,
            config: config.unwrap_or_default(),
            layers,
        }
    }

    /// Of a layer, bytes.
    fn size(&self, layer: &str) -> u64 {
        self.facts(layer).map_or(0, |facts| facts.size)
    }
}

/// As [`Store::find`], among images that were listed before.
///
/// # Errors
/// As [`Store::find`].
pub fn find(all: &[Stored], text: &str, base: &Path) -> Result<Vec<Stored>, FindError> {
    let source: Option<Source> = text.parse().ok();
    let name = source.map(|source| source.resolve(base).to_string());
    if let Some(named) = all.iter().find(|image| Some(&image.name) == name.as_ref()) {
        return Ok(vec![named.clone()]);
    }
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let is_id = digits.len() >= 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let found: Vec<Stored> = all
        .iter()
        .filter(|image| is_id && image.id.hex().starts_with(&digits.to_ascii_lowercase()))
        .cloned()
        .collect();
    let ids: HashSet<Digest> = found.iter().map(|image| image.id).collect();
    match ids.len() {
        0 => Err(FindError::Missing(text.to_owned())),
        1 => Ok(found),
        _ => Err(FindError::Ambiguous {
            text: text.to_owned(),
            names: found.into_iter().map(|image| image.name).collect(),
        }),
    }
}

/// Each layer once.
fn unique(layers: &[String]) -> impl Iterator<Item = &str> {
    layers
        .iter()
        .enumerate()
        .filter(|(at, layer)| !layers[..*at].contains(layer))
        .map(|(_, layer)| layer.as_str())
}
