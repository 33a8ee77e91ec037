//! A container that is built before anybody knows what will run in it: while one step of a job runs, the root, the mounts and
//! the namespaces of the next one are made.
//!
//! ```text
//! Zygote::prepare(spec without command) --> Spare --start(spec, streams)--> Container
//!                                             '--discard
//! ```

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Container, ContainerSpec, Created, File, Network, Process, Rootfs};
use crate::zygote::RequestError;

/// A container that waits for its command. Dropping it kills it.
#[derive(Debug)]
pub struct Spare {
    /// What it was made from.
    shape: ContainerSpec,
    created: Created,
}

/// What a specification says beyond its shape.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Late {
    /// To be written.
    pub(crate) files: Vec<File>,
    /// To be made and handed out.
    pub(crate) exchange: Vec<PathBuf>,
    /// To be run.
    pub(crate) process: Process,
}

impl Spare {
    pub(crate) const fn new(shape: ContainerSpec, created: Created) -> Self {
        Self { shape, created }
    }

    /// Whether it is what a container of this specification would be before its files are written.
    #[must_use]
    pub fn fits(&self, spec: &ContainerSpec) -> bool {
        spec.shape().as_ref() == Some(&self.shape)
    }

    /// Starts the command of a specification that it fits.
    ///
    /// # Errors
    /// As a start from nothing. [`RequestError::is_of_the_spare`] tells whether that is worth trying.
    pub async fn start(
        self,
        spec: &ContainerSpec,
        streams: &[OwnedFd; 3],
    ) -> Result<Container, RequestError> {
        let late = Late {
            files: resolver(spec)
                .into_iter()
                .chain(spec.files.clone())
                .collect(),
            exchange: spec.exchange.clone(),
            process: spec.process.clone(),
        };
        let [input, output, error] = streams.each_ref().map(OwnedFd::as_fd);
        let streams = [input, output, error];
        self.created
            .start_late(&late, &spec.resources, streams)
            .await
    }

    /// Ends it; returns when nothing of it is left.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn discard(self) -> io::Result<()> {
        let handle = self.created.handle();
        handle.signal(libc::SIGKILL)?;
        handle.gone().await
    }
}

/// The machine's name servers as they are now; those from when it was built are there already.
fn resolver(spec: &ContainerSpec) -> Option<File> {
    const PATH: &str = "/etc/resolv.conf";
    let content = std::fs::read(PATH)
        .ok()
        .filter(|_| spec.network == Network::Host)?;
    Some(File {
        path: PATH.into(),
        content,
        mode: 0o644,
    })
}

impl ContainerSpec {
    /// What can be built of it without knowing its command; `None` where something else depends on that.
    #[must_use]
    pub fn shape(&self) -> Option<Self> {
        let Rootfs::Layers(layers) = &self.rootfs else {
            return None;
        };
        let is_bound = layers.read_only
            // What is written for the command counts.
            || self.resources.disk.is_some()
            || self.process.nesting
            || self.mounts.iter().any(|mount| mount.target.starts_with("~"))
            || self.process.privileges.is_some();
        (!is_bound).then(|| Self {
            files: Vec::new(),
            exchange: Vec::new(),
            process: Process::default(),
            ..self.clone()
        })
    }
}
