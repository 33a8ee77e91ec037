//! Archives of caches on this machine, by what is in them.
//!
//! ```text
//! <data>/caches/
//!   lock            whoever adds or removes something holds it
//!   blobs/<sha256>  whole archives; the time of the last modification is that of the last use
//!   tmp/            archives in the making, each locked by who makes it
//!   index/          which key stands for which (see `index`)
//! ```
//! A name appears when its archive is whole and on the disk. What a killed process has left in `tmp/` is removed by the next
//! that adds something. When there is more than there may be, what was not used for longest goes first.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};

use super::error::{CacheError, failed};
use super::wanted::hex;

/// The store of one data directory. Cheap to copy.
#[derive(Debug, Clone)]
pub struct Store {
    root: Arc<PathBuf>,
    /// Bytes that all archives may have.
    most: u64,
    /// Bytes that one may have.
    most_of_one: u64,
}

/// An archive in the making. Dropped, nothing of it stays.
#[derive(Debug)]
pub struct Draft {
    /// What to write to; locked.
    pub file: File,
    path: PathBuf,
    is_kept: bool,
}

/// What there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Archives.
    pub count: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Held while something is added or removed.
#[derive(Debug)]
pub(super) struct Guard(#[expect(dead_code, reason = "its end is the lock's")] File);

impl Store {
    /// The store below a data directory, made when it is not there. It holds so many bytes.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(data: &Path, most: u64) -> Result<Self, CacheError> {
        let store = Self::of(data, most);
        for directory in ["blobs", "tmp", "index"] {
            make(&store.root.join(directory))?;
        }
        Ok(store)
    }

    /// The same, where nothing is made.
    #[must_use]
    pub fn of(data: &Path, most: u64) -> Self {
        Self {
            root: Arc::new(data.join("caches")),
            most,
            most_of_one: most,
        }
    }

    /// How many bytes one archive, or its files, may have.
    #[must_use]
    pub const fn most_of_one(&self) -> u64 {
        self.most_of_one
    }

    pub(super) fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// A file for an archive, which has no name yet.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn draft(&self) -> Result<Draft, CacheError> {
        // Nobody takes it for a remain before it is locked.
        let guard = self.lock()?;
        let directory = self.root.join("tmp");
        let made = tempfile::Builder::new()
            .prefix("draft-")
            .tempfile_in(&directory)
            .map_err(failed("make a file in", &directory))?;
        let (file, path) = made
            .keep()
            .map_err(|error| failed("make a file in", &directory)(error.error))?;
        let draft = Draft {
            file,
            path,
            is_kept: false,
        };
        flock(&draft.file, FlockOperation::NonBlockingLockExclusive)
            .map_err(failed("lock", &draft.path))?;
        drop(guard);
        Ok(draft)
    }

    /// Adds an archive. Answers where it is.
    ///
    /// # Errors
    /// When it is too large, or cannot be written to the disk.
    pub fn add(&self, draft: Draft, sha256: &str) -> Result<PathBuf, CacheError> {
        draft.settle()?;
        let guard = self.lock()?;
        self.adopt(&guard, draft, sha256)?;
        Ok(self.blob(sha256))
    }

    /// The same store with less room for one archive.
    #[must_use]
    pub fn with_at_most(mut self, bytes: u64) -> Self {
        self.most_of_one = self.most_of_one.min(bytes);
        self
    }

    /// Gives an archive that is on the disk its name, and makes room for it.
    ///
    /// # Errors
    /// When it is too large, or cannot be written to the disk.
    pub(super) fn adopt(
        &self,
        guard: &Guard,
        mut draft: Draft,
        sha256: &str,
    ) -> Result<(), CacheError> {
        let size = draft
            .file
            .metadata()
            .map_err(failed("look at", &draft.path))?
            .len();
        if size > self.most {
            return Err(CacheError::TooLarge {
                size,
                most: self.most,
            });
        }
        self.remove_remains(guard);
        self.make_room(guard, size, sha256)?;
        let blob = self.blob(sha256);
        fs::rename(&draft.path, &blob).map_err(failed("name", &blob))?;
        draft.is_kept = true;
        sync_directory(&self.root.join("blobs"))
    }

    /// The archive with these contents, if it is there and what it should be. A damaged one is removed.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn find(&self, sha256: &str) -> Result<Option<(File, u64)>, CacheError> {
        let path = self.blob(sha256);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(failed("open", &path))?,
        };
        let (found, size) = digest(&mut file).map_err(failed("read", &path))?;
        if found != sha256 {
            tracing::warn!(path = %path.display(), "a cache is damaged and is removed");
            let _guard = self.lock()?;
            remove(&path)?;
            return Ok(None);
        }
        // What is used stays; where that cannot be noted it goes earlier.
        let now = fs::FileTimes::new().set_modified(SystemTime::now());
        if let Err(error) = file.set_times(now) {
            tracing::debug!(%error, "the use of a cache is not noted");
        }
        Ok(Some((file, size)))
    }

    /// Whether there is one with these contents, by its name alone.
    #[must_use]
    pub fn has(&self, sha256: &str) -> bool {
        self.blob(sha256).exists()
    }

    /// What there is.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let blobs = self.blobs().unwrap_or_default();
        Usage {
            count: blobs.len(),
            bytes: blobs.iter().map(|blob| blob.size).sum(),
        }
    }

    /// Removes every archive, and all that stands for one. Answers what there was.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn clear(&self) -> Result<Usage, CacheError> {
        if !self.root.exists() {
            return Ok(Usage::default());
        }
        let guard = self.lock()?;
        self.remove_remains(&guard);
        let usage = self.usage();
        for blob in self.blobs()? {
            remove(&blob.path)?;
        }
        let index = self.index();
        match fs::remove_dir_all(&index) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &index)(error));
            }
            _ => {}
        }
        Ok(usage)
    }

    /// Waits until nobody else adds or removes anything.
    pub(super) fn lock(&self) -> Result<Guard, CacheError> {
        let path = self.root.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open", &path))?;
        rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
            .map_err(failed("lock", &path))?;
        Ok(Guard(file))
    }

    fn blob(&self, sha256: &str) -> PathBuf {
        self.root.join("blobs").join(sha256)
    }

    fn blobs(&self) -> Result<Vec<Blob>, CacheError> {
        let directory = self.root.join("blobs");
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("list", &directory))?,
        };
        let mut blobs = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed("list", &directory))?;
            // It may be gone by now.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            blobs.push(Blob {
                path: entry.path(),
                size: metadata.len(),
                used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            });
        }
        Ok(blobs)
    }

    /// Removes what was not used for longest, until `size` bytes more fit.
    fn make_room(&self, _guard: &Guard, size: u64, sha256: &str) -> Result<(), CacheError> {
        let mut blobs = self.blobs()?;
        // It takes the place of one with the same contents.
        let own = self.blob(sha256);
        blobs.retain(|blob| blob.path != own);
        blobs.sort_by_key(|blob| blob.used);
        let mut total: u64 = blobs.iter().map(|blob| blob.size).sum();
        for blob in blobs {
            if total.saturating_add(size) <= self.most {
                break;
            }
            remove(&blob.path)?;
            total -= blob.size;
        }
        Ok(())
    }

    /// Removes what killed processes have left: nobody holds its lock.
    fn remove_remains(&self, _guard: &Guard) {
        let Ok(entries) = fs::read_dir(self.root.join("tmp")) else {
            return;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let Ok(file) = File::open(&path) else {
                continue;
            };
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::debug!(%error, path = %path.display(), "a remain stays");
            }
        }
    }
}

impl Draft {
    /// Has all of it on the disk. Not while others wait: it may take long.
    pub(super) fn settle(&self) -> Result<(), CacheError> {
        self.file.sync_all().map_err(failed("write", &self.path))
    }
}

impl Drop for Draft {
    /// Nothing came of it.
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, path = %self.path.display(), "an unfinished cache stays");
        }
    }
}

#[derive(Debug)]
struct Blob {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

/// Makes a directory for its owner only.
pub(super) fn make(path: &Path) -> Result<(), CacheError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("make", path))
}

/// What was renamed in it stays so when the machine stops.
pub(super) fn sync_directory(path: &Path) -> Result<(), CacheError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("write", path))
}

fn remove(path: &Path) -> Result<(), CacheError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The SHA-256 of a file and its bytes; it stands at its beginning again.
fn digest(file: &mut File) -> io::Result<(String, u64)> {
    use std::io::Seek as _;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.rewind()?;
    Ok((hex(&hasher.finalize()), size))
}

#[cfg(test)]
mod tests;
