//! What the disk has taken, and what it has lost.
//!
//! The kernel tells once of what it could not write, and has it for written from then on (fsync(2), errors). So after one failure
//! nothing counts that was not durable before: neither of that file nor of any other. Streams are cut back to what is durable, and
//! their agents are asked for the rest; by a server that is started later, too, so the loss is noted in the directory.
//!
//! Of a file that the kernel has forgotten since it failed to write it, its own descriptors tell nothing: the file system's do
//! (syncfs(2), since Linux 5.8), so it is asked last wherever something is to be durable.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{LogError, failed, machine};

/// The disk that a directory is on. Clones are of one disk.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Known>);

#[derive(Debug)]
struct Known {
    root: PathBuf,
    /// Open since before anything was written, so that it tells of each failure since then. It tells of it once: whoever is told
    /// has counted it when the next one asks.
    root_file: Mutex<File>,
    losses: AtomicU64,
    is_noted: AtomicBool,
}

impl Disk {
    pub(super) fn open(root: &Path) -> Result<Self, LogError> {
        let file = File::open(root).map_err(failed("open", root))?;
        Ok(Self(Arc::new(Known {
            root: root.to_owned(),
            root_file: Mutex::new(file),
            losses: AtomicU64::new(0),
            is_noted: AtomicBool::new(false),
        })))
    }

    /// How often it has lost something since the server has started. What was written before counts only while this stays as it is.
    pub(super) fn losses(&self) -> u64 {
        self.0.losses.load(Ordering::Acquire)
    }

    /// Whether what was written when it had lost so much has become durable since, as far as nobody was told otherwise.
    pub(super) fn has_lost_only(&self, losses: u64) -> io::Result<()> {
        match self.losses() == losses {
            true => Ok(()),
            // Somebody else has been told of it.
            false => Err(io::Error::other("the disk has lost something meanwhile")),
        }
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

    /// Makes everything durable that the file system has. It tells of an error whoever's file that was.
    pub(super) fn write_out_all(&self) -> io::Result<()> {
        let file = self.0.root_file.lock();
        let file = file.unwrap_or_else(PoisonError::into_inner);
        let written = rustix::fs::syncfs(&*file).map_err(io::Error::from);
        self.noted(&self.0.root, written)
    }

    fn noted(&self, path: &Path, result: io::Result<()>) -> io::Result<()> {
        #[cfg(test)]
        let result = result.and_then(|()| fault::strike(path));
        if let Err(error) = &result {
            self.0.losses.fetch_add(1, Ordering::AcqRel);
            tracing::error!(%error, path = %path.display(), "the disk of the logs has lost something: agents send again what was not durable");
            self.note();
        }
        result
    }

    /// Notes it for a server that is started later. A disk that does not take the note either is given it at the next loss.
    fn note(&self) {
        if self.0.is_noted.load(Ordering::Acquire) {
            return;
        }
        match machine::note_loss(&self.0.root) {
            Ok(()) => self.0.is_noted.store(true, Ordering::Release),
            Err(error) => {
                tracing::error!(%error, "it is not noted that the disk has lost something")
            }
        }
    }
}

/// A disk that loses something.
#[cfg(test)]
pub(super) mod fault {
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};

    static WAITING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    static UNREADABLE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    /// The next time that this is read, it cannot be.
    pub(in crate::logs::directory) fn be_unreadable(path: PathBuf) {
        let mut unreadable = UNREADABLE.lock().unwrap_or_else(PoisonError::into_inner);
        unreadable.push(path);
    }

    pub(in crate::logs::directory) fn read(path: &Path) -> io::Result<()> {
        take(&UNREADABLE, path)
    }

    /// The next time that this is made durable, it is not.
    pub(in crate::logs::directory) fn wait_for(path: PathBuf) {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(path);
    }

    pub(super) fn strike(path: &Path) -> io::Result<()> {
        take(&WAITING, path)
    }

    fn take(paths: &Mutex<Vec<PathBuf>>, path: &Path) -> io::Result<()> {
        let mut paths = paths.lock().unwrap_or_else(PoisonError::into_inner);
        match paths.iter().position(|waits| waits == path) {
            Some(at) => {
                paths.remove(at);
                Err(io::Error::from_raw_os_error(5))
            }
            None => Ok(()),
        }
    }
}
