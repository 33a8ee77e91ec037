//! Files of what is held for containers, listed and packed by workers of the zygote: where the owners of the files exist.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::AsFd as _;

use rustix::fs::{MemfdFlags, memfd_create};

use super::wire::Job;
use super::{RequestError, Zygote};
use crate::collect::{Bounds, CollectError, Collected, Found, joined};

impl Zygote {
    /// What there is at and below these paths of a directory that is held by this name; what is not there is passed over.
    ///
    /// # Errors
    /// See [`CollectError`].
    pub async fn list(&self, name: &str, below: &[Vec<u8>]) -> Result<Vec<Found>, CollectError> {
        let job = Job::List {
            name: name.to_owned(),
        };
        let mut out = memory()?;
        let asked = filled(&joined(below))?;
        let answer = self.work(job, &[asked.as_fd(), out.as_fd()]).await;
        outcome::<()>(answer)?;
        let mut list = Vec::new();
        out.rewind()
            .and_then(|()| out.read_to_end(&mut list))
            .map_err(|error| CollectError::write(&error))?;
        Ok(Found::read(&list))
    }

    /// Writes what is at these paths of a directory that is held by this name to `out`, as a gzipped tar archive.
    ///
    /// # Errors
    /// See [`CollectError`]; what was written until then is no archive.
    pub async fn pack(
        &self,
        name: &str,
        paths: &[Vec<u8>],
        bounds: Bounds,
        out: &File,
    ) -> Result<Collected, CollectError> {
        let job = Job::Pack {
            name: name.to_owned(),
            bounds,
        };
        let asked = filled(&joined(paths))?;
        outcome(self.work(job, &[asked.as_fd(), out.as_fd()]).await)
    }
}

/// A file that is nowhere: lists are longer than a message may be.
fn memory() -> Result<File, CollectError> {
    memfd_create("list", MemfdFlags::CLOEXEC)
        .map(File::from)
        .map_err(|errno| CollectError::write(&errno.into()))
}

fn filled(bytes: &[u8]) -> Result<File, CollectError> {
    let mut file = memory()?;
    file.write_all(bytes)
        .and_then(|()| file.rewind())
        .map_err(|error| CollectError::write(&error))?;
    Ok(file)
}

fn outcome<T: serde::de::DeserializeOwned>(
    answer: Result<serde_json::Value, RequestError>,
) -> Result<T, CollectError> {
    let gone = |reason: String| CollectError::Worker { reason };
    let value = answer.map_err(|error| gone(error.to_string()))?;
    serde_json::from_value::<Result<T, CollectError>>(value)
        .unwrap_or_else(|error| Err(gone(error.to_string())))
}
