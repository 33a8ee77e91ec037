//! From a source to an image that can be run, fetching only what is not here.

use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Store;
use super::error::{ErrorKind, PullError, StoreError};
use super::fetch::Fetch;
use super::policy::PullPolicy;
use super::progress::Progress;
use super::record::Record;
use crate::image::{Config, Digest, Source};
use crate::layer::LayerWorker;
use crate::registry;
use crate::transport::{FileIdentity, Layer, Resolved, Transport, with_layers};

/// Layers fetched at a time: enough to fill a line while another one's files are written.
const PARALLEL: usize = 3;

/// An image that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Of the manifest or index that the source names; `None` for archives that have none.
    pub digest: Option<Digest>,
    /// How it wants to be run.
    pub config: Config,
    /// Names in the layers directory, base first, each once.
    pub layers: Vec<String>,
    /// Fetched for it now, as stored at the source; 0 when everything was here.
    pub pulled_bytes: u64,
}

impl Image {
    /// Each layer is kept where it is uppermost: overlayfs refuses one twice, and the lower one is covered anyway.
    pub(super) fn new(
        digest: Option<Digest>,
        config: Config,
        names: Vec<String>,
        pulled_bytes: u64,
    ) -> Self {
        let is_uppermost = |at: usize| !names[at + 1..].contains(&names[at]);
        let layers = (0..names.len())
            .filter(|at| is_uppermost(*at))
            .map(|at| names[at].clone())
            .collect();
        Self {
            digest,
            config,
            layers,
            pulled_bytes,
        }
    }
}

impl Store {
    /// Makes sure that an image is here, under the source's own [`PullPolicy`]; a name that was given on this machine stands
    /// for what it was given to.
    ///
    /// The future may be dropped at any moment; what is whole stays, the rest is swept by a later pull.
    ///
    /// # Errors
    /// See [`PullError::kind`].
    pub async fn pull(
        &self,
        source: &Source,
        registries: &registry::Settings,
        worker: &dyn LayerWorker,
        progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Result<Image, PullError> {
        let policy = match self.record(source) {
            Some(record) if record.is_local => PullPolicy::IfMissing,
            _ => PullPolicy::of(source),
        };
        self.pull_with(source, policy, registries, worker, progress)
            .await
    }

    /// As [`Store::pull`], under another policy.
    ///
    /// # Errors
    /// See [`PullError::kind`].
    pub async fn pull_with(
        &self,
        source: &Source,
        policy: PullPolicy,
        registries: &registry::Settings,
        worker: &dyn LayerWorker,
        progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Result<Image, PullError> {
        let record = self.record(source);
        let here = match &record {
            Some(record) => self.use_image(source, record).await?,
            None => None,
        };
        if policy == PullPolicy::IfMissing {
            // What a registry has under a name of this machine's own is somebody else's image.
            let is_local = record.as_ref().is_some_and(|record| record.is_local);
            match here {
                Some(image) => return Ok(image),
                None if is_local => return Err(PullError::LocalName(source.to_string())),
                None => {}
            }
        }
        match self
            .refresh(source, record, here.as_ref(), registries, worker, progress)
            .await
        {
            Err(error) if error.kind() == ErrorKind::Unavailable => match here {
                Some(image) => {
                    progress(Progress::Stale { error: &error });
                    Ok(image)
                }
                None => Err(error),
            },
            result => result,
        }
    }

    /// The image of a record, if all of it is here; then it stays, as long as this process lives.
    async fn use_image(
        &self,
        source: &Source,
        record: &Record,
    ) -> Result<Option<Image>, StoreError> {
        let key = self.record_key(source);
        let lock = self.lock_shared(&key).await?;
        self.lease_image(&key)?;
        drop(lock);
        if !self.use_layers(&record.layer_names()).await? {
            return Ok(None);
        }
        self.touch(&key);
        Ok(record.image(self))
    }

    /// Asks the source what the image is now, and fetches what is missing.
    async fn refresh(
        &self,
        source: &Source,
        record: Option<Record>,
        here: Option<&Image>,
        registries: &registry::Settings,
        worker: &dyn LayerWorker,
        progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Result<Image, PullError> {
        let name = source.to_string();
        let failed = |error| PullError::new(&name, error);
        let file = single_file(source)
            .map(FileIdentity::of)
            .transpose()
            .map_err(|error| failed(error.into()))?;
        let known = record.as_ref().zip(here);
        if let Some((record, image)) = known
            && file.is_some()
            && record.file == file
        {
            return Ok(image.clone());
        }
        let transport = Transport::open(source, registries, &self.meta.join("tmp"))
            .await
            .map_err(failed)?;
        let transport = transport.ok_or(PullError::Host)?;
        if let (Transport::Registry { client, reference }, Some((record, image))) =
            (&transport, known)
            && let Some(digest) = record.digest
        {
            match client.digest(reference).await {
                Ok(now) if now == Some(digest) => return Ok(image.clone()),
                // Some registries do not answer HEAD: the document itself decides.
                Ok(_) | Err(registry::Error::Refused { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let resolved = transport.resolve(&self.platform).await.map_err(failed)?;
        self.warn_if_foreign(&resolved.config, progress);
        let fetch = Fetch {
            store: self,
            transport: &transport,
            image: &name,
            key: &file_key(file.as_ref()),
            worker,
            progress,
        };
        let (diff_ids, pulled_bytes) = self.fetch_layers(&fetch, &resolved).await?;
        self.keep(source, resolved, diff_ids, file, pulled_bytes)
            .await
    }

    /// The layers' diff IDs, base first, when all of them are here; and how many bytes it took.
    pub(super) async fn fetch_layers(
        &self,
        fetch: &Fetch<'_>,
        resolved: &Resolved,
    ) -> Result<(Vec<Digest>, u64), PullError> {
        let is_missing = |layer: &&Layer| layer.diff_id.is_none_or(|id| !self.has_layer(&id.hex()));
        let missing: Vec<&Layer> = resolved.layers.iter().filter(is_missing).collect();
        (fetch.progress)(Progress::Resolved {
            layers: resolved.layers.len(),
            missing: missing.len(),
            bytes: missing.iter().map(|layer| layer.size).sum(),
        });
        if !missing.is_empty() {
            self.sweep(fetch.worker).await?;
        }
        // Made before they are streamed: a closure in the stream would keep this future from crossing threads.
        let pulls: Vec<_> = resolved
            .layers
            .iter()
            .map(|layer| fetch.layer(layer))
            .collect();
        let layers: Vec<(Digest, u64)> =
            stream::iter(pulls).buffered(PARALLEL).try_collect().await?;
        Ok((
            layers.iter().map(|(id, _)| *id).collect(),
            layers.iter().map(|(_, bytes)| bytes).sum(),
        ))
    }

    async fn keep(
        &self,
        source: &Source,
        resolved: Resolved,
        diff_ids: Vec<Digest>,
        file: Option<FileIdentity>,
        pulled_bytes: u64,
    ) -> Result<Image, PullError> {
        let config_digest = self.keep_documents(&resolved, &diff_ids)?;
        let config = Config {
            diff_ids: diff_ids.clone(),
            ..resolved.config
        };
        let names = diff_ids.iter().map(Digest::hex).collect();
        let record = Record::new(self, source, resolved.digest, config_digest, diff_ids, file);
        self.keep_record(source, &record).await?;
        Ok(Image::new(resolved.digest, config, names, pulled_bytes))
    }

    /// Keeps an image's documents; the digest of its configuration.
    pub(super) fn keep_documents(
        &self,
        resolved: &Resolved,
        diff_ids: &[Digest],
    ) -> Result<Option<Digest>, StoreError> {
        let mut last = None;
        for document in &resolved.documents {
            last = Some(self.write_blob(document)?);
        }
        // What cannot be written as JSON was never read from it.
        if let Some(document) = resolved
            .template
            .as_ref()
            .and_then(|template| with_layers(template, diff_ids).ok())
        {
            last = Some(self.write_blob(&document)?);
        }
        Ok(last)
    }

    pub(super) fn warn_if_foreign(
        &self,
        config: &Config,
        progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) {
        let (image, host) = (&*config.architecture, &*self.platform.architecture);
        if !image.is_empty() && image != host {
            progress(Progress::Foreign { image, host });
        }
    }
}

/// The file that a source is, if it is one: when that has not changed, nothing has.
fn single_file(source: &Source) -> Option<&Path> {
    match source {
        Source::OciArchive { path, .. }
        | Source::DockerArchive { path, .. }
        | Source::Tar { path }
        | Source::Squashfs { path }
        | Source::Sif { path }
        | Source::Aci { path }
        | Source::Lxc { path } => Some(path),
        Source::Host | Source::Registry(_) | Source::OciLayout { .. } | Source::Dir { .. } => None,
    }
}

/// A name for a layer whose diff ID is not known yet.
pub(super) fn file_key(file: Option<&FileIdentity>) -> String {
    let text = format!("{file:?}");
    format!("file-{}", Digest::of(text.as_bytes()).hex())
}
