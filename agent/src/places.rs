//! Directories of containers, each in the hands of a supervisor:
//!
//! ```text
//! NAME/         state.json      the record, replaced as a whole
//!               control         the supervisor's socket: who can connect knows that it lives
//! .new-RANDOM/                  one being made, or left by a crash
//! .gone-RANDOM/                 one being removed, or left by a crash
//! ```
//! There is no lock: a directory appears and disappears by being renamed, and belongs to its supervisor in between. A
//! supervisor that is killed takes its socket's other end along; what is on disk stays.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use runtime::message::{self, Listener};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::system_error::SystemError;

/// Of the socket.
const CONTROL: &str = "control";
/// Of the record.
const STATE: &str = "state.json";
/// Nobody needs longer between making a directory and giving it its name, nor to remove one.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Bytes of a name nobody chose.
const RANDOM: usize = 6;

/// All that are in one directory.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    directory: PathBuf,
}

impl Places {
    /// Those below a directory, which is made when the first of them is.
    pub(crate) const fn below(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where the one of this name is, if there is one. The name leads nowhere else.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Makes one under its name, whole, and listens there; `None` when there is one of that name. To be called on a tokio
    /// runtime.
    pub(crate) fn claim(
        &self,
        name: &str,
        record: &impl Serialize,
    ) -> Result<Option<(PathBuf, Listener)>, SystemError> {
        let mut private = DirBuilder::new();
        private.mode(0o700);
        private
            .recursive(true)
            .create(&self.directory)
            .map_err(SystemError::at("make", &self.directory))?;
        let new = self.unseen(".new")?;
        private
            .recursive(false)
            .create(&new)
            .map_err(SystemError::at("make", &new))?;
        let path = self.path(name);
        let named = write(&new, record)
            .and_then(|()| {
                let control = new.join(CONTROL);
                Listener::bind(&new, CONTROL).map_err(SystemError::at("make", &control))
            })
            .and_then(|listener| match fs::rename(&new, &path) {
                Ok(()) => Ok(Some((path, listener))),
                Err(error) if is_taken(&error) => Ok(None),
                Err(error) => Err(SystemError::at("make", &path)(error)),
            });
        if !matches!(named, Ok(Some(_))) {
            let _ = fs::remove_dir_all(&new);
        }
        named
    }

    /// Removes one, in one step for everybody else. Whether it was there: somebody else may have been faster.
    pub(crate) fn remove(&self, path: &Path) -> Result<bool, SystemError> {
        let gone = self.unseen(".gone")?;
        match fs::rename(path, &gone) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(SystemError::at("remove", path)(error)),
            Ok(()) => {
                fs::remove_dir_all(&gone).map_err(SystemError::at("remove", &gone))?;
                Ok(true)
            }
        }
    }

    /// The names of all files and directories that have one.
    pub(crate) fn names(&self) -> Result<Vec<String>, SystemError> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            result => result.map_err(SystemError::at("list", &self.directory))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }

    /// Removes what crashes have left without a name.
    pub(crate) fn tidy(&self) {
        let entries = fs::read_dir(&self.directory);
        for entry in entries.into_iter().flatten().flatten() {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let modified = entry.metadata().and_then(|meta| meta.modified());
            let age = modified.map(|time| SystemTime::now().duration_since(time));
            if hidden && matches!(age, Ok(Ok(age)) if age > FORGOTTEN) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// A path that is nobody's.
    fn unseen(&self, prefix: &str) -> Result<PathBuf, SystemError> {
        let random = random_name().map_err(SystemError::during("get random bytes"))?;
        Ok(self.directory.join(format!("{prefix}-{random}")))
    }
}

/// Replaces the record of a place.
pub(crate) fn write(place: &Path, record: &impl Serialize) -> Result<(), SystemError> {
    let path = place.join(STATE);
    let new = place.join(".state.new");
    let text = serde_json::to_vec(record).map_err(io::Error::from);
    text.and_then(|text| fs::write(&new, text))
        .and_then(|()| fs::rename(&new, &path))
        .map_err(SystemError::at("write", &path))
}

/// The record of a place; `None` where there is none.
pub(crate) fn read<T: DeserializeOwned>(place: &Path) -> Result<Option<T>, SystemError> {
    let file = place.join(STATE);
    match fs::read(&file) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(SystemError::at("understand", &file)),
        Err(error)
            if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) =>
        {
            Ok(None)
        }
        Err(error) => Err(SystemError::at("read", &file)(error)),
    }
}

/// Connects to the supervisor of a place.
///
/// # Errors
/// `NotFound` and `ConnectionRefused` when there is none any more.
pub(crate) fn connect(place: &Path) -> io::Result<OwnedFd> {
    message::connect(place, CONTROL)
}

/// Whether a name has at most so many characters, letters, digits and these marks, of which the first is a letter or digit: as a
/// file's name it leads nowhere.
pub(crate) fn is_name(text: &str, longest: usize, marks: &[u8]) -> bool {
    text.len() <= longest
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
}

/// A name that nobody has chosen: twelve hexadecimal digits, as Docker's short ids look.
pub(crate) fn random_name() -> io::Result<String> {
    let mut bytes = [0; RANDOM];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.map(|byte| format!("{byte:02x}")).concat())
}

/// Whether a name looks like one that nobody has chosen.
pub(crate) fn is_random(name: &str) -> bool {
    name.len() == 2 * RANDOM && is_hex(name)
}

/// Whether a text could be the beginning of a name that nobody has chosen.
pub(crate) fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What a directory that is not empty answers (rename(2)).
fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere() {
        let fits = |text: &str| is_name(text, 63, b"_.-");
        for text in ["web", "web-1.test_2", "0", &"x".repeat(63)] {
            assert!(fits(text), "{text:?}");
        }
        let long = "x".repeat(64);
        for text in [
            "", ".", "..", "../x", "a/b", ".new", "-f", "a b", "a\n", "a\0", "ä", "a+b", &long,
        ] {
            assert!(!fits(text), "{text:?}");
        }
    }

    #[test]
    fn a_name_nobody_chose_is_known_as_one() {
        let (one, other) = (random_name().unwrap(), random_name().unwrap());
        assert!(is_random(&one) && is_random(&other) && one != other);
        assert!(!is_random("web"));
    }

    #[tokio::test]
    async fn a_place_is_seen_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::below(root.path().join("places"));
        assert!(places.names().unwrap().is_empty());
        let (path, listener) = places.claim("one", &1).unwrap().unwrap();
        assert!(places.claim("one", &2).unwrap().is_none());
        assert_eq!(
            (read::<u8>(&path).unwrap(), places.names().unwrap()),
            (Some(1), vec!["one".to_owned()])
        );
        assert!(connect(&path).is_ok());
        drop(listener);
        let refused = connect(&path).unwrap_err().kind();
        assert_eq!(refused, io::ErrorKind::ConnectionRefused);
        assert!(places.remove(&path).unwrap() && !places.remove(&path).unwrap());
        assert_eq!(read::<u8>(&path).unwrap(), None);
        // Nothing hidden is left either.
        assert_eq!(fs::read_dir(root.path().join("places")).unwrap().count(), 0);
    }

    /// Nobody finds a record without somebody who listens beside it.
    #[tokio::test]
    async fn a_claim_is_never_seen_without_its_supervisor() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("one");
        let places = Places::below(root.path().to_owned());
        let seen = std::thread::spawn({
            let path = path.clone();
            move || {
                while read::<u8>(&path).ok().flatten().is_none() {}
                connect(&path).is_ok()
            }
        });
        let _claimed = places.claim("one", &1).unwrap().unwrap();
        assert!(seen.join().unwrap());
    }
}
