//! What the disk has taken, and what it has lost.
//!
//! The kernel tells once of what it could not write, and has it for written from then on (fsync(2), errors). So after one failure
//! nothing counts that was not durable before: neither of that file nor, since a file that the kernel has forgotten meanwhile tells of
//! nothing, of any other. Streams are cut back to what is sealed, and their agents are asked for the rest.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often the disk has lost something since the server has started. Clones are of one disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<AtomicU64>);

impl Disk {
    /// What was written before counts only while this stays as it is.
    pub(super) fn losses(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Makes the contents of a file durable. What cannot be opened is not lost by that.
    pub(super) fn write_out(&self, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        self.noted(path, file.sync_data())
    }

    /// Makes the entries of a directory durable.
    pub(super) fn write_out_directory(&self, path: &Path) -> io::Result<()> {
        let directory = File::open(path)?;
        self.noted(path, directory.sync_all())
    }

    /// Makes everything durable that the file system of a directory has (syncfs(2)). It tells of an error once, whoever's file that
    /// was.
    pub(super) fn write_out_all(&self, root: &Path, root_file: &File) -> io::Result<()> {
        self.noted(root, rustix::fs::syncfs(root_file).map_err(io::Error::from))
    }

    fn noted(&self, path: &Path, result: io::Result<()>) -> io::Result<()> {
        #[cfg(test)]
        let result = result.and_then(|()| fault::strike(path));
        if let Err(error) = &result {
            self.0.fetch_add(1, Ordering::AcqRel);
            tracing::error!(%error, path = %path.display(), "the disk of the logs has lost something: agents send again what was not durable");
        }
        result
    }
}

/// A disk that loses something.
#[cfg(test)]
pub(super) mod fault {
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};

    static WAITING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    /// The next time that this is made durable, it is not.
    pub(in crate::logs::directory) fn wait_for(path: PathBuf) {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(path);
    }

    pub(super) fn strike(path: &Path) -> io::Result<()> {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.iter().position(|waits| waits == path) {
            Some(at) => {
                waiting.remove(at);
                Err(io::Error::from_raw_os_error(5))
            }
            None => Ok(()),
        }
    }
}
