//! What is kept beside a layer: what is known of it, and the recording from which its archive can be made again.
//!
//! ```text
//! layers/ HEX/             the layer
//!         HEX.json         what is known of it
//!         HEX.recording    see `layer::recording`; not every layer has one
//! ```

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Store;
use super::error::{Attempt, StoreError};

/// What is known of a layer since it was unpacked. Unknown fields are a newer program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// Uncompressed, bytes.
    pub(super) size: u64,
    /// Files, directories and links.
    pub(super) entries: u64,
}

impl Store {
    /// What is known of a layer.
    pub(super) fn facts(&self, name: &str) -> Option<Facts> {
        serde_json::from_slice(&super::blobs::read(&self.facts_path(name))?).ok()
    }

    pub(super) fn keep_facts(&self, name: &str, facts: Facts) -> Result<(), StoreError> {
        let path = self.facts_path(name);
        match serde_json::to_vec(&facts) {
            Ok(bytes) => self.write(&path, &bytes),
            Err(error) => Err(StoreError::new(Attempt::Write, &path, error.into())),
        }
    }

    /// A layer's recording, if it has one.
    pub(super) fn recording(&self, name: &str) -> Result<Option<OwnedFd>, StoreError> {
        let path = self.recording_path(name);
        match File::open(&path) {
            Ok(file) => Ok(Some(file.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::new(Attempt::Read, &path, source)),
        }
    }

    /// An empty file for the recording of a layer that is being unpacked, swept with it after a crash.
    pub(super) fn begin_recording(&self, temporary: &str) -> Result<OwnedFd, StoreError> {
        let path = self.layer(temporary);
        let made = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        made.map(OwnedFd::from)
            .map_err(|source| StoreError::new(Attempt::Write, &path, source))
    }

    /// Gives a recording its name.
    pub(super) fn keep_recording(&self, temporary: &str, name: &str) -> Result<(), StoreError> {
        let path = self.recording_path(name);
        std::fs::rename(self.layer(temporary), &path)
            .map_err(|source| StoreError::new(Attempt::Write, &path, source))
    }

    /// Removes what is beside a layer; what is not there is no error.
    pub(super) fn forget_layer(&self, name: &str) -> Result<(), StoreError> {
        for path in [self.facts_path(name), self.recording_path(name)] {
            remove_file(path)?;
        }
        Ok(())
    }

    /// The names of all whole layers.
    pub(super) fn layer_names(&self) -> Result<Vec<String>, StoreError> {
        let failed = |source| StoreError::new(Attempt::List, &self.layers, source);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.layers).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(name) = name.to_str().filter(|name| is_layer(name)) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The names of layers that something is kept beside, each once.
    pub(super) fn names_beside(&self) -> Result<BTreeSet<String>, StoreError> {
        let failed = |source| StoreError::new(Attempt::List, &self.layers, source);
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(&self.layers).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let beside = name.to_str().and_then(|name| {
                name.strip_suffix(".json")
                    .or_else(|| name.strip_suffix(".recording"))
            });
            names.extend(beside.filter(|name| is_layer(name)).map(str::to_owned));
        }
        Ok(names)
    }

    fn facts_path(&self, name: &str) -> PathBuf {
        self.layer(&format!("{name}.json"))
    }

    fn recording_path(&self, name: &str) -> PathBuf {
        self.layer(&format!("{name}.recording"))
    }
}

/// Removes a file; a missing one is no error.
pub(super) fn remove_file(path: PathBuf) -> Result<(), StoreError> {
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::new(Attempt::Remove, &path, source))
        }
        _ => Ok(()),
    }
}

/// The digits of a diff ID.
fn is_layer(name: &str) -> bool {
    name.len() == 64
        && name
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
