//! The agent's side of what a build has done in roots ([`super::task`]).

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::Zygote;
use super::request::RequestError;
use super::task::{Taken, Task, Tree};
use super::wire::Job;
use crate::layer::{Packed, Placement, Selection, TransferError};

impl Zygote {
    /// A number that nobody else has.
    pub fn fresh(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Removes what is kept of a container, or of a root, under a number.
    pub async fn forget(&self, number: u64) {
        let path = Path::new("scratch").join(self.kept(number));
        if let Err(error) = self.work(Job::Remove { path }, &[]).await {
            tracing::debug!(%error, number, "left until the agent ends");
        }
    }

    /// What is kept under a number, in bytes of the disk.
    pub(crate) async fn kept_bytes(&self, number: u64) -> Result<u64, RequestError> {
        self.written(&format!("kept.{number}")).await
    }

    /// Below `scratch/`.
    pub(super) fn kept(&self, number: u64) -> PathBuf {
        self.upper(&format!("kept.{number}"))
    }

    fn tree(&self, layers: &[String], number: u64) -> Tree {
        Tree {
            layers: layers.to_vec(),
            scratch: self.kept(number),
        }
    }

    /// Takes files from a root of these layers into `out`, or only adds them up.
    pub(crate) async fn take(
        &self,
        layers: &[String],
        selection: &Selection,
        out: Option<OwnedFd>,
    ) -> Result<Taken, TransferError> {
        let number = self.fresh();
        let task = Task::Take {
            tree: self.tree(layers, number),
            selection: selection.clone(),
        };
        let taken = self.build(task, out).await;
        self.forget(number).await;
        taken
    }

    /// Puts an archive into a root of these layers; what is written stays under `number`.
    pub(crate) async fn put(
        &self,
        layers: &[String],
        number: u64,
        placement: Placement,
        owner: Option<String>,
        archive: OwnedFd,
    ) -> Result<(), TransferError> {
        let task = Task::Put {
            tree: self.tree(layers, number),
            placement,
            owner,
        };
        self.build(task, Some(archive)).await
    }

    /// Makes a directory in a root of these layers; whether it was missing.
    pub(crate) async fn make(
        &self,
        layers: &[String],
        number: u64,
        path: &Path,
        owner: Option<String>,
    ) -> Result<bool, TransferError> {
        let task = Task::Make {
            tree: self.tree(layers, number),
            path: path.to_owned(),
            owner,
        };
        self.build(task, None).await
    }

    /// Packs what is kept under a number into `out`.
    pub(crate) async fn pack_kept(
        &self,
        number: u64,
        of_container: Option<Vec<PathBuf>>,
        out: OwnedFd,
    ) -> Result<Packed, TransferError> {
        let task = Task::Pack {
            scratch: self.kept(number),
            of_container,
        };
        self.build(task, Some(out)).await
    }

    async fn build<T: serde::de::DeserializeOwned>(
        &self,
        task: Task,
        file: Option<OwnedFd>,
    ) -> Result<T, TransferError> {
        let worker = |reason: String| TransferError::Worker { reason };
        let fds: Vec<_> = file.iter().map(|file| file.as_fd()).collect();
        let answer: Result<serde_json::Value, RequestError> =
            self.work(Job::Build(task), &fds).await;
        drop(fds);
        // Whoever is at the other end must see this one's.
        drop(file);
        let value = answer.map_err(|error| worker(error.to_string()))?;
        serde_json::from_value(value).map_err(|error| worker(error.to_string()))?
    }
}
