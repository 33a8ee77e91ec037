//! Getting images, for steps and for containers by hand: from the machine itself, or through the store.

mod announce;
mod bars;
mod relay;
mod telling;

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use runtime::container::{Mount, MountSource};
use runtime::host;
use runtime::image::Source;
use runtime::registry;
use runtime::store::{
    ErrorKind, Image as Pulled, Progress, PullError, PullPolicy, Store, StoreError,
};
use runtime::zygote::{Hold, Job, Zygote};
use tokio::sync::OnceCell;

use crate::backend::{Healthcheck, ImageError, ImageErrorKind, Prepared, ProgressFn};
use crate::chain::chain;
use crate::config::{Config, Host};
use crate::retention::Retention;
pub(crate) use announce::announce;
use relay::Relay;
pub(crate) use telling::telling;

/// For an image that says nothing, as Docker has it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image that can be run: its layers and what its configuration says.
#[derive(Debug, Clone, Default)]
pub struct Image {
    pub(crate) layers: Vec<String>,
    pub(crate) mounts: Vec<Mount>,
    /// `NAME=value`.
    pub(crate) env: Vec<String>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) command: Vec<String>,
    pub(crate) user: Option<String>,
    pub(crate) working_directory: Option<String>,
}

impl Image {
    /// The environment that the image gives to what runs in it, with a `PATH` in any case.
    pub(crate) fn environment(&self) -> IndexMap<String, String> {
        let mut all = IndexMap::from([("PATH".to_owned(), PATH.to_owned())]);
        for line in &self.env {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            all.insert(name.to_owned(), value.to_owned());
        }
        all
    }
}

/// Where images come from.
#[derive(Debug)]
pub(crate) struct Images {
    store: Store,
    registries: registry::Settings,
    host: Host,
    retention: Retention,
    /// Paths of local images are relative to this: the directory of the pipeline, or the current one.
    base: PathBuf,
    prepared_host: OnceCell<Image>,
}

impl Images {
    /// Opens the store in the agent's data directory. Relative paths are relative to `base`.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub(crate) fn new(
        zygote: &Zygote,
        data: &Path,
        base: &Path,
        config: &Config,
    ) -> Result<Self, StoreError> {
        let store = Store::open(&data.join("images"), &zygote.directory().join("layers"))?;
        Ok(Self {
            store,
            registries: config.registries.clone(),
            host: config.host.clone(),
            retention: config.images,
            base: base.to_owned(),
            prepared_host: OnceCell::new(),
        })
    }

    /// Makes sure that an image is here. Without a policy its source's own decides.
    pub(crate) async fn get(
        &self,
        zygote: &Zygote,
        reference: &str,
        policy: Option<PullPolicy>,
        progress: ProgressFn<'_>,
    ) -> Result<Prepared<Image>, ImageError> {
        let relay = Relay::new(reference, progress);
        let relay = |news: Progress<'_>| relay.pass_on(news);
        self.get_telling(zygote, reference, policy, &relay).await
    }

    /// The same for somebody who wants to hear of every layer.
    pub(crate) async fn get_telling(
        &self,
        zygote: &Zygote,
        reference: &str,
        policy: Option<PullPolicy>,
        progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Result<Prepared<Image>, ImageError> {
        let source: Source = reference.parse().map_err(|error| ImageError {
            kind: ImageErrorKind::InvalidReference,
            message: format!("`{reference}` is not an image: {error}"),
        })?;
        if source == Source::Host {
            let image = self
                .prepared_host
                .get_or_try_init(|| self.prepare_host(zygote))
                .await?;
            return Ok(Prepared {
                image: image.clone(),
                digest: None,
                pulled_bytes: 0,
                healthcheck: None,
            });
        }
        let source = source.resolve(&self.base);
        let registries = &self.registries;
        let pulled = match policy {
            Some(policy) => {
                let store = &self.store;
                store
                    .pull_with(&source, policy, registries, zygote, progress)
                    .await
            }
            None => self.store.pull(&source, registries, zygote, progress).await,
        };
        let pulled = pulled.map_err(|error| failure(&error))?;
        let config = pulled.config;
        Ok(Prepared {
            image: Image {
                layers: pulled
                    .layers
                    .iter()
                    .map(|name| format!("layers/{name}"))
                    .collect(),
                mounts: Vec::new(),
                env: config.env,
                entrypoint: config.entrypoint,
                command: config.cmd,
                user: config.user,
                working_directory: config.working_dir,
            },
            digest: pulled.digest.map(|digest| digest.to_string()),
            pulled_bytes: pulled.pulled_bytes,
            healthcheck: config.healthcheck.map(|check| Healthcheck {
                command: check.command,
                interval: check.interval,
                timeout: check.timeout,
                start_period: check.start_period,
                retries: check.retries,
            }),
        })
    }

    /// Where they are kept.
    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// Makes sure that an image is here that something is built on. Unless a registry `asks` is wished for, one that is here
    /// is taken.
    pub(crate) async fn pull(
        &self,
        zygote: &Zygote,
        source: &Source,
        text: &str,
        asks: bool,
        progress: ProgressFn<'_>,
    ) -> Result<Pulled, ImageError> {
        let relay = Relay::new(text, progress);
        let relay = |news: Progress<'_>| relay.pass_on(news);
        let (store, registries) = (&self.store, &self.registries);
        let pulled = if asks {
            store.pull(source, registries, zygote, &relay).await
        } else {
            let policy = PullPolicy::IfMissing;
            store
                .pull_with(source, policy, registries, zygote, &relay)
                .await
        };
        pulled.map_err(|error| failure(&error))
    }

    /// Removes what the machine's configuration does not keep.
    pub(crate) async fn tidy(&self, zygote: &Zygote) {
        let Some(retention) = self.retention.policy() else {
            return;
        };
        match self.store.collect(&retention, zygote).await {
            Ok(collected) => tracing::debug!(?collected, "images removed"),
            Err(error) => tracing::warn!(error = %chain(&error), "images cannot be removed"),
        }
    }

    async fn prepare_host(&self, zygote: &Zygote) -> Result<Image, ImageError> {
        let failed = |what: String, error: &dyn std::error::Error| ImageError {
            kind: ImageErrorKind::Internal,
            message: format!("{what}: {}", chain(error)),
        };
        zygote
            .work(Job::HostLayer, &[])
            .await
            .map_err(|error| failed("prepare the machine's image".to_owned(), &error))?;
        let mut image = Image {
            layers: vec![host::LAYER.to_owned()],
            env: self
                .host
                .env
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            ..Image::default()
        };
        let usual = host::directories()
            .into_iter()
            .map(|path| (path, Hold::Shared));
        // What the machine's configuration names is meant to be seen, whoever may read it.
        let named = self
            .host
            .paths
            .iter()
            .map(|path| (path.clone(), Hold::Bind));
        for (number, (directory, hold)) in usual.chain(named).enumerate() {
            let name = format!("host.{number}");
            zygote
                .hold(&name, &directory, hold)
                .await
                .map_err(|error| failed(format!("show {}", directory.display()), &error))?;
            image.mounts.push(Mount {
                source: MountSource::Held { name },
                target: directory,
                read_only: true,
            });
        }
        Ok(image)
    }
}

/// What a failed pull is to the executor.
pub(crate) fn failure(error: &PullError) -> ImageError {
    let kind = match error.kind() {
        ErrorKind::Unavailable => ImageErrorKind::Unavailable,
        ErrorKind::Unauthorized => ImageErrorKind::Unauthorized,
        ErrorKind::NotFound => ImageErrorKind::NotFound,
        ErrorKind::Corrupt => ImageErrorKind::Corrupt,
        ErrorKind::Damaged => ImageErrorKind::Damaged,
        ErrorKind::Unsupported => ImageErrorKind::Unsupported,
        ErrorKind::NoSpace | ErrorKind::Io | ErrorKind::Setting => ImageErrorKind::Internal,
    };
    ImageError {
        kind,
        message: chain(error),
    }
}
