//! What each process uses, so that collecting leaves it alone.
//!
//! ```text
//! leases/RANDOM   lines `layer HEX` and `image KEY`, locked (flock(2)) as long as its process lives
//! ```
//!
//! A container's layers are its agent's, which dies with it, and the kernel lets go of the lock then: a lease that can be
//! locked is nobody's. Whoever begins to use something writes it down under the shared lock of its name; whoever removes
//! something holds that lock alone and looks at all leases first. Both hold it for moments only.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Store;
use super::error::{Attempt, StoreError};

/// Of a lease, bytes that are read: a million lines.
const MAX_LEASE: u64 = 64 << 20;

/// What this process uses. Its file is made when it first uses something and goes with it.
#[derive(Debug, Default)]
pub(super) struct Lease {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<(File, PathBuf)>,
    written: HashSet<String>,
}

/// What living processes use.
#[derive(Debug, Default)]
pub(super) struct InUse {
    lines: HashSet<String>,
    /// A lease that a newer program has written may mean anything.
    everything: bool,
}

impl InUse {
    pub(super) fn has_layer(&self, name: &str) -> bool {
        self.everything || self.lines.contains(&format!("layer {name}"))
    }

    pub(super) fn has_image(&self, key: &str) -> bool {
        self.everything || self.lines.contains(&format!("image {key}"))
    }
}

impl Store {
    /// Begins to use layers. Whether all of them are here; then they stay, as long as this process lives. One that somebody
    /// unpacks or removes is waited for.
    pub(super) async fn use_layers(&self, names: &[String]) -> Result<bool, StoreError> {
        for name in names {
            let _lock = self.lock_shared(name).await?;
            self.lease(&format!("layer {name}"))?;
            if !self.has_layer(name) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Begins to use a layer that is here, unless somebody holds its lock alone now.
    pub(super) fn use_layer_now(&self, name: &str) -> Result<bool, StoreError> {
        let Some(_lock) = self.try_lock_shared(name)? else {
            return Ok(false);
        };
        self.lease_layer(name)?;
        Ok(self.has_layer(name))
    }

    /// Writes down that this process uses a layer; its lock is held by the caller.
    pub(super) fn lease_layer(&self, name: &str) -> Result<(), StoreError> {
        self.lease(&format!("layer {name}"))
    }

    /// Writes down that this process uses an image's record; its lock is held by the caller.
    pub(super) fn lease_image(&self, key: &str) -> Result<(), StoreError> {
        self.lease(&format!("image {key}"))
    }

    fn lease(&self, line: &str) -> Result<(), StoreError> {
        let directory = self.meta.join("leases");
        let failed = |source| StoreError::new(Attempt::Write, &directory, source);
        let mut state = self
            .lease
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if state.written.contains(line) {
            return Ok(());
        }
        if state.file.is_none() {
            state.file = Some(self.begin_lease(&directory).map_err(failed)?);
        }
        if let Some((file, _)) = &mut state.file {
            // In one piece, so that nobody reads half a line.
            file.write_all(format!("{line}\n").as_bytes())
                .map_err(failed)?;
        }
        state.written.insert(line.to_owned());
        Ok(())
    }

    /// A lease has its name only when it is locked.
    fn begin_lease(&self, directory: &Path) -> io::Result<(File, PathBuf)> {
        let file = tempfile::NamedTempFile::new_in(self.meta.join("tmp"))?;
        file.as_file().lock()?;
        let name = file.path().file_name().unwrap_or_default().to_owned();
        let path = directory.join(name);
        let file = file.persist(&path)?;
        Ok((file, path))
    }

    /// What processes use, this one included. Leases of dead ones are removed.
    pub(super) fn in_use(&self) -> Result<InUse, StoreError> {
        let directory = self.meta.join("leases");
        let failed = |source| StoreError::new(Attempt::List, &directory, source);
        let mut all = InUse::default();
        for entry in std::fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let file = match File::open(&path) {
                Ok(file) => file,
                // One that has just ended has taken its lease with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "a lease cannot be read: everything counts as used");
                    all.everything = true;
                    continue;
                }
            };
            match file.try_lock_shared() {
                Ok(()) => super::layers::remove_file(path)?,
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    match file.take(MAX_LEASE).read_to_string(&mut text) {
                        Ok(read) if (read as u64) < MAX_LEASE => all.add(&text),
                        Ok(_) | Err(_) => all.everything = true,
                    }
                }
                Err(TryLockError::Error(source)) => {
                    return Err(StoreError::new(Attempt::Lock, &path, source));
                }
            }
        }
        Ok(all)
    }
}

impl InUse {
    fn add(&mut self, text: &str) {
        for line in text.lines() {
            let is_known = line.starts_with("layer ") || line.starts_with("image ");
            self.everything |= !is_known;
            self.lines.insert(line.to_owned());
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, path)) = &state.file {
            // One that stays is found to be nobody's.
            let _ = std::fs::remove_file(path);
        }
    }
}
