//! Files of what is held for containers, listed and packed by workers of the zygote: where the owners of the files exist.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};

use super::wire::Job;
use super::{RequestError, Zygote};
use crate::collect::{Bounds, CollectError, Collected, Forbidden, Found, Part, joined};
use crate::layer::{Limits, Restored, UnpackError};

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

    /// Writes the files of several directories that are held to `out`, as a zstd-compressed tar archive that
    /// [`Zygote::restore`] reads: with their owners as containers see them, and none that has one of the `forbidden` texts in it.
    ///
    /// # Errors
    /// See [`CollectError`]; what was written until then is no archive.
    pub async fn save(
        &self,
        parts: &[Part],
        bounds: Bounds,
        forbidden: &[Vec<u8>],
        out: &File,
    ) -> Result<Collected, CollectError> {
        let asked = asked(parts)?;
        let forbidden = filled(&Forbidden::joined(forbidden))?;
        let fds = [asked.as_fd(), out.as_fd(), forbidden.as_fd()];
        outcome(self.work(Job::Save { bounds }, &fds).await)
    }

    /// Puts the files of an archive that [`Zygote::save`] has written back, to the same paths of as many directories. What is
    /// there is replaced, and what else is in a directory stays. The archive is not believed anything. When it fails, what was not
    /// there before is taken away again; when the future is dropped, it stops where it is.
    ///
    /// # Errors
    /// The archive is damaged, hostile or too large, it takes longer than `time`, or the kernel refuses.
    pub async fn restore(
        &self,
        parts: &[Part],
        limits: Limits,
        time: Duration,
        archive: &File,
    ) -> Result<Restored, UnpackError> {
        let gone = |reason: String| UnpackError::Worker { reason };
        let asked = asked(parts).map_err(|error| gone(error.to_string()))?;
        let fds = [asked.as_fd(), archive.as_fd()];
        let answer = self.work(Job::Restore { limits, time }, &fds).await;
        let value = answer.map_err(|error| gone(error.to_string()))?;
        serde_json::from_value(value).unwrap_or_else(|error| Err(gone(error.to_string())))
    }
}

fn asked(parts: &[Part]) -> Result<File, CollectError> {
    let text = serde_json::to_vec(parts).map_err(|error| CollectError::write(&error.into()))?;
    filled(&text)
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
