//! Whose a directory is, and whether the machine has gone down since it was written, or its disk has lost something.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{LogError, failed, sync_directory};

/// Of Linux (random(4)): another one after each start of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// Instead of a boot: what the files have is not all on the disk, whatever the kernel says that it was told before.
const LOST: &str = "lost";

/// How long a server that ends may have the lock.
const ENDING: Duration = Duration::from_secs(5);

/// The lock on a directory, and what is known of it.
#[derive(Debug)]
pub(super) struct Machine {
    /// Held as long as the server lives.
    _lock: File,
    boot_file: PathBuf,
    boot: String,
    is_new_boot: bool,
    is_noted: bool,
    identity: String,
}

impl Machine {
    pub(super) fn open(root: &Path) -> Result<Self, LogError> {
        // Where it cannot be known, nothing is trusted.
        let boot = fs::read_to_string(BOOT).unwrap_or_default();
        Self::booted(root, boot.trim())
    }

    /// As of this boot.
    pub(super) fn booted(root: &Path, boot: &str) -> Result<Self, LogError> {
        let path = root.join("lock");
        let lock = File::create(&path).map_err(failed("make", &path))?;
        take(&lock).map_err(failed("lock", &path))?;
        let boot_file = root.join("boot");
        let known = read(&boot_file)?;
        Ok(Self {
            _lock: lock,
            // Without a note nobody has written here, or a server that made none.
            is_new_boot: known
                .as_deref()
                .is_some_and(|known| boot.is_empty() || known != boot),
            is_noted: known.as_deref() == Some(boot),
            boot: boot.to_owned(),
            boot_file,
            identity: identity(root)?,
        })
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    pub(super) const fn is_new_boot(&self) -> bool {
        self.is_new_boot
    }

    /// What an earlier boot has left has been looked at.
    pub(super) fn written(&self) -> Result<(), LogError> {
        if self.is_noted {
            return Ok(());
        }
        write(&self.boot_file, &self.boot)
    }
}

/// Notes that the disk has lost something: what was written up to now is trusted by no later server.
pub(super) fn note_loss(root: &Path) -> Result<(), LogError> {
    write(&root.join("boot"), LOST)
}

/// Takes the lock. A server that is just ending is waited for.
fn take(lock: &File) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() > ENDING => {
                return Err(io::Error::other("another server uses this directory"));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(ENDING / 100),
        }
    }
}

fn read(path: &Path) -> Result<Option<String>, LogError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Writes a small file, durably.
fn write(path: &Path, text: &str) -> Result<(), LogError> {
    let written = File::create(path).and_then(|mut file| {
        io::Write::write_all(&mut file, format!("{text}\n").as_bytes())?;
        file.sync_all()
    });
    written.map_err(failed("write", path))?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// A name of the directory's own, made at its first use.
fn identity(root: &Path) -> Result<String, LogError> {
    let path = root.join("identity");
    if let Some(known) = read(&path)?.filter(|known| !known.is_empty()) {
        return Ok(known);
    }
    let mut bits = [0; 8];
    getrandom::fill(&mut bits).map_err(|error| failed("name", root)(io::Error::other(error)))?;
    let made = format!("{:016x}", u64::from_le_bytes(bits));
    write(&path, &made)?;
    Ok(made)
}
