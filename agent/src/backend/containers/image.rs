//! Getting images: from the machine itself, or through the store.

use runtime::container::{Mount, MountSource};
use runtime::host;
use runtime::zygote::{Hold, Job, Zygote};
use tokio::sync::OnceCell;

use crate::backend::{BackendOptions, ImageError, ImageErrorKind, Prepared, ProgressFn};
use crate::config::Host;

/// An image that can be run: its layers and what its configuration says.
#[derive(Debug, Clone, Default)]
pub struct Image {
    pub(super) layers: Vec<String>,
    pub(super) mounts: Vec<Mount>,
    /// `NAME=value`.
    pub(super) env: Vec<String>,
    pub(super) entrypoint: Vec<String>,
    pub(super) command: Vec<String>,
    pub(super) user: Option<String>,
    pub(super) working_directory: Option<String>,
}

/// Where images come from.
#[derive(Debug)]
pub(super) struct Images {
    host: Host,
    prepared_host: OnceCell<Image>,
}

impl Images {
    pub(super) fn new(options: &BackendOptions) -> Self {
        Self {
            host: options.config.host.clone(),
            prepared_host: OnceCell::new(),
        }
    }

    pub(super) async fn get(
        &self,
        zygote: &Zygote,
        reference: &str,
        progress: ProgressFn<'_>,
    ) -> Result<Prepared<Image>, ImageError> {
        if reference == "host" {
            let image = self
                .prepared_host
                .get_or_try_init(|| self.prepare_host(zygote))
                .await?;
            return Ok(Prepared {
                image: image.clone(),
                digest: None,
                pulled_bytes: 0,
            });
        }
        let _ = progress;
        Err(ImageError {
            kind: ImageErrorKind::Unsupported,
            message: format!("interim: {reference}"),
        })
    }

    async fn prepare_host(&self, zygote: &Zygote) -> Result<Image, ImageError> {
        let failed = |what: String, error: &dyn std::fmt::Display| ImageError {
            kind: ImageErrorKind::Internal,
            message: format!("{what}: {error}"),
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
        let directories = host::directories()
            .into_iter()
            .chain(self.host.paths.iter().cloned());
        for (number, directory) in directories.enumerate() {
            let name = format!("host.{number}");
            zygote
                .hold(&name, &directory, Hold::Bind)
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
