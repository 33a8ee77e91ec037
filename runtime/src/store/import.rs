//! Archives of images with their names, as `docker save`, `podman save`, `skopeo copy` and `agent image save` write them.

use std::path::Path;

use super::Store;
use super::error::PullError;
use super::fetch::Fetch;
use super::progress::Progress;
use super::pull::{Image, file_key};
use super::record::Record;
use crate::image::{Digest, Reference, Source};
use crate::layer::LayerWorker;
use crate::transport::{LocalError, Resolved, Transport};

/// An image that was loaded under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// As [`Source`] prints it.
    pub name: String,
    /// What it stands for now.
    pub image: Image,
}

impl Store {
    /// Takes every image of an archive under the names that it has there; `name` is for one without. Such names stand for
    /// these images on this machine, whatever a registry says.
    ///
    /// # Errors
    /// The file is no such archive, damaged, or has an image without a name; see [`PullError::kind`].
    pub async fn load(
        &self,
        path: &Path,
        name: Option<&Reference>,
        worker: &dyn LayerWorker,
        progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Result<Vec<Named>, PullError> {
        let shown = path.display().to_string();
        let failed = |error| PullError::new(&shown, error);
        let transport = Transport::open_archive(path, &self.meta.join("tmp"))
            .await
            .map_err(failed)?;
        let offers = transport.offers().await.map_err(failed)?;
        let refused = |source: LocalError| failed(source.into());
        if offers.is_empty() {
            return Err(refused(LocalError::Unfit {
                path: path.to_owned(),
                why: "holds no image",
            }));
        }
        if name.is_some() && offers.len() != 1 {
            return Err(refused(LocalError::Several {
                path: path.to_owned(),
                offered: offers.into_iter().flat_map(|offer| offer.names).collect(),
            }));
        }
        let mut loaded = Vec::new();
        for offer in offers {
            let resolved = transport
                .resolve_offer(&offer, &self.platform)
                .await
                .map_err(failed)?;
            let names: Vec<Reference> = match name {
                Some(name) => vec![name.clone()],
                None => own_names(&offer.names),
            };
            if names.is_empty() {
                return Err(refused(LocalError::Unnamed {
                    path: path.to_owned(),
                }));
            }
            self.warn_if_foreign(&resolved.config, progress);
            let fetch = Fetch {
                store: self,
                transport: &transport,
                image: &shown,
                key: &file_key(None),
                worker,
                progress,
            };
            let (diff_ids, pulled_bytes) = self.fetch_layers(&fetch, &resolved).await?;
            loaded.extend(
                self.keep_under(names, resolved, diff_ids, pulled_bytes)
                    .await?,
            );
        }
        Ok(loaded)
    }

    async fn keep_under(
        &self,
        names: Vec<Reference>,
        resolved: Resolved,
        diff_ids: Vec<Digest>,
        pulled_bytes: u64,
    ) -> Result<Vec<Named>, PullError> {
        let config = self.keep_documents(&resolved, &diff_ids)?;
        let mut loaded = Vec::new();
        for name in names {
            let source = Source::Registry(name);
            let digest = resolved.digest;
            let record = Record::new(self, &source, digest, config, diff_ids.clone(), None);
            self.keep_record(&source, &record.local(&source)).await?;
            let layers = diff_ids.iter().map(Digest::hex).collect();
            loaded.push(Named {
                name: source.to_string(),
                image: Image::new(digest, resolved.config.clone(), layers, pulled_bytes),
            });
        }
        Ok(loaded)
    }
}

/// The names that an archive may give to an image of its own: a digest says what an image is, and is not given.
fn own_names(names: &[String]) -> Vec<Reference> {
    names
        .iter()
        .filter_map(|name| name.parse().ok())
        .filter(|name: &Reference| name.digest().is_none())
        .collect()
}
