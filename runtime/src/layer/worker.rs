//! Who unpacks: a process in the container's user namespace, reached through a trait so that the store does not know how.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::pin::Pin;

use rustix::fs::{Mode, OFlags};

use super::error::{Operation, UnpackError};
use super::{Checked, Form, Limits, Packed, Unpacked, check, pack, remove, unpack_form};

/// A future that can cross threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Unpacks and removes layers where their owners are mapped.
pub trait LayerWorker: Send + Sync {
    /// Makes the directory `target` in the layers directory (an existing one is an error) and unpacks the stream into it
    /// until its end; what the tree cannot hold goes to `recording`, an empty file. `target` is a plain name. On an error a
    /// half-full `target` may stay; the store removes it.
    ///
    /// The future may be dropped: the stream's writer then goes away, which the worker sees as a stream that ends early.
    fn unpack<'a>(
        &'a self,
        stream: OwnedFd,
        recording: OwnedFd,
        target: &'a str,
        form: Form,
    ) -> BoxFuture<'a, Result<Unpacked, UnpackError>>;

    /// Writes the archive of the layer `name` to `out` and closes that.
    fn pack<'a>(
        &'a self,
        out: OwnedFd,
        recording: Option<OwnedFd>,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Packed, UnpackError>>;

    /// Compares the layer `name` with its recording.
    fn check<'a>(
        &'a self,
        recording: OwnedFd,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Checked, UnpackError>>;

    /// Removes `name` in the layers directory with everything in it; a missing one is no error.
    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), UnpackError>>;
}

/// Unpacks in this process, with this process's rights: for tests, and where no user namespace is wanted.
#[derive(Debug, Clone)]
pub struct InProcess {
    layers: PathBuf,
    limits: Limits,
}

impl InProcess {
    /// Works in the layers directory `layers`, which must exist.
    #[must_use]
    pub fn new(layers: impl Into<PathBuf>, limits: Limits) -> Self {
        Self {
            layers: layers.into(),
            limits,
        }
    }

    fn open(&self) -> Result<OwnedFd, UnpackError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(&self.layers, flags, Mode::empty()).map_err(|errno| {
            UnpackError::system(
                Operation::Open,
                self.layers.as_os_str().as_encoded_bytes(),
                errno,
            )
        })
    }
}

impl LayerWorker for InProcess {
    fn unpack<'a>(
        &'a self,
        stream: OwnedFd,
        recording: OwnedFd,
        target: &'a str,
        form: Form,
    ) -> BoxFuture<'a, Result<Unpacked, UnpackError>> {
        let (worker, name) = (self.clone(), target.to_owned());
        Box::pin(blocking(move || {
            let target = make(worker.open()?.as_fd(), &name)?;
            unpack_form(
                File::from(stream),
                form,
                target.as_fd(),
                &worker.limits,
                Some(File::from(recording)),
            )
        }))
    }

    fn pack<'a>(
        &'a self,
        out: OwnedFd,
        recording: Option<OwnedFd>,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Packed, UnpackError>> {
        let (worker, name) = (self.clone(), name.to_owned());
        Box::pin(blocking(move || {
            let layer = open_layer(worker.open()?.as_fd(), &name)?;
            pack(layer.as_fd(), recording.map(File::from), File::from(out))
        }))
    }

    fn check<'a>(
        &'a self,
        recording: OwnedFd,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Checked, UnpackError>> {
        let (worker, name) = (self.clone(), name.to_owned());
        Box::pin(blocking(move || {
            let layer = open_layer(worker.open()?.as_fd(), &name)?;
            check(layer.as_fd(), File::from(recording))
        }))
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), UnpackError>> {
        let (worker, name) = (self.clone(), name.to_owned());
        Box::pin(blocking(move || remove(worker.open()?.as_fd(), &name)))
    }
}

/// Makes the directory for a layer; an existing one is an error.
pub(crate) fn make(layers: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, UnpackError> {
    let failed = |operation| move |errno| UnpackError::system(operation, name.as_bytes(), errno);
    rustix::fs::mkdirat(layers, name, Mode::from_raw_mode(0o755))
        .map_err(failed(Operation::MakeDirectory))?;
    open_layer(layers, name)
}

/// Opens the directory of a layer.
pub(crate) fn open_layer(layers: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, UnpackError> {
    let failed = |operation| move |errno| UnpackError::system(operation, name.as_bytes(), errno);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(layers, name, flags, Mode::empty()).map_err(failed(Operation::Open))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UnpackError> + Send + 'static,
) -> Result<T, UnpackError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(UnpackError::Worker {
                reason: error.to_string(),
            })
        })
}
