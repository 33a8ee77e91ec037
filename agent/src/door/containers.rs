//! All containers of a data directory, a directory each:
//!
//! ```text
//! containers/ NAME/ state.json      the record, replaced as a whole
//!                   control         the supervisor's socket: who can connect knows that it lives
//!                   log, log.1      what the command wrote
//!             .new-RANDOM/          one being made, or left by a crash
//!             .gone-RANDOM/         one being removed
//! ```
//! There is no lock: a directory appears and disappears by being renamed, and belongs to its supervisor in between. A
//! supervisor that is killed takes its socket's other end along; what is on disk stays and says `dead`.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use runtime::message::{self, Listener};

use super::record::{Record, Stage, Status};
use super::{DoorError, Name, name};

/// Of the socket.
const CONTROL: &str = "control";
/// Of the record.
const STATE: &str = "state.json";
/// Nobody needs longer between making a directory and giving it its name.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Ended containers that nobody has given a name are kept up to this many.
const KEPT: usize = 100;

/// The containers of a data directory.
#[derive(Debug, Clone)]
pub struct Containers {
    directory: PathBuf,
}

/// A container's directory, in its supervisor's hands.
#[derive(Debug)]
pub(super) struct Place {
    containers: Containers,
    pub(super) path: PathBuf,
    pub(super) record: Record,
}

/// A container somebody asks about.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its directory.
    pub(super) path: PathBuf,
    /// What is written down of it.
    pub record: Record,
    /// What it is at this moment.
    pub status: Status,
}

impl Containers {
    /// Those in an agent's data directory.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self {
            directory: data.join("containers"),
        }
    }

    /// Makes a container's directory under its name, and listens there. To be called on a tokio runtime.
    pub(super) fn claim(&self, record: Record) -> Result<(Place, Listener), DoorError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(DoorError::disk("make", &self.directory))?;
        let new = self.unseen(".new")?;
        DirBuilder::new()
            .mode(0o700)
            .create(&new)
            .map_err(DoorError::disk("make", &new))?;
        let place = Place {
            containers: self.clone(),
            path: new,
            record,
        };
        let prepared = place.write().and_then(|()| {
            let control = place.path.join(CONTROL);
            Listener::bind(&place.path, CONTROL).map_err(DoorError::disk("make", &control))
        });
        let path = self.directory.join(place.record.name.as_str());
        let named = prepared.and_then(|listener| match fs::rename(&place.path, &path) {
            Ok(()) => Ok(listener),
            // What a directory that is not empty answers (rename(2)).
            Err(error)
                if [
                    io::ErrorKind::DirectoryNotEmpty,
                    io::ErrorKind::AlreadyExists,
                ]
                .contains(&error.kind()) =>
            {
                let name = place.record.name.clone();
                Err(DoorError::NameTaken { name })
            }
            Err(error) => Err(DoorError::disk("make", &path)(error)),
        });
        match named {
            Ok(listener) => Ok((Place { path, ..place }, listener)),
            Err(error) => {
                let _ = fs::remove_dir_all(&place.path);
                Err(error)
            }
        }
    }

    /// The container of this name, or the only one nobody has named whose name begins so.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn find(&self, text: &str) -> Result<Found, DoorError> {
        let none = || DoorError::NoSuchContainer {
            name: text.to_owned(),
        };
        if let Ok(name) = text.parse::<Name>()
            && let Some(found) = self.look(&name)?
        {
            return Ok(found);
        }
        if text.is_empty() || !name::is_hex(text) {
            return Err(none());
        }
        let mut fitting = self.names()?.into_iter().filter(|name| {
            let begins = name.as_str().starts_with(text);
            name.is_random() && begins
        });
        match (fitting.next(), fitting.next()) {
            (Some(name), None) => self.look(&name)?.ok_or_else(none),
            (Some(_), Some(_)) => Err(DoorError::Ambiguous {
                text: text.to_owned(),
            }),
            (None, _) => Err(none()),
        }
    }

    /// All of them, the newest first.
    ///
    /// # Errors
    /// When the data directory cannot be read.
    pub fn all(&self) -> Result<Vec<Found>, DoorError> {
        let mut all = Vec::new();
        for name in self.names()? {
            // One may have been removed meanwhile.
            all.extend(self.look(&name)?);
        }
        all.sort_by_key(|found| std::cmp::Reverse(found.record.created));
        Ok(all)
    }

    /// Removes what is left of a container that is over.
    ///
    /// # Errors
    /// When it cannot be removed. That somebody else was faster is none.
    pub fn remove(&self, found: &Found) -> Result<(), DoorError> {
        self.remove_directory(&found.path)
    }

    /// Forgets the oldest of the ended containers that nobody has named, when there are many, and what crashes have left.
    pub(super) fn tidy(&self) {
        let mut ended = self.all().unwrap_or_default();
        ended.retain(|found| {
            let over = matches!(found.status, Status::Exited | Status::Dead);
            over && found.record.name.is_random()
        });
        for found in ended.iter().skip(KEPT) {
            let _ = self.remove(found);
        }
        for entry in fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten()
        {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let modified = entry.metadata().and_then(|meta| meta.modified());
            let age = modified.map(|time| SystemTime::now().duration_since(time));
            if hidden && matches!(age, Ok(Ok(age)) if age > FORGOTTEN) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// In one step for everybody else.
    fn remove_directory(&self, path: &Path) -> Result<(), DoorError> {
        let gone = self.unseen(".gone")?;
        match fs::rename(path, &gone) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(DoorError::disk("remove", path)(error)),
            Ok(()) => fs::remove_dir_all(&gone).map_err(DoorError::disk("remove", &gone)),
        }
    }

    /// A path that is no container's.
    fn unseen(&self, prefix: &str) -> Result<PathBuf, DoorError> {
        let random = Name::random().map_err(DoorError::system("get random bytes"))?;
        Ok(self.directory.join(format!("{prefix}-{random}")))
    }

    fn names(&self) -> Result<Vec<Name>, DoorError> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            result => result.map_err(DoorError::disk("list", &self.directory))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        Ok(names.collect())
    }

    fn look(&self, name: &Name) -> Result<Option<Found>, DoorError> {
        let path = self.directory.join(name.as_str());
        let Some(first) = read(&path)? else {
            return Ok(None);
        };
        let supervised = is_supervised(&path);
        let record = match first.stage {
            Stage::Exited { .. } => first,
            // Its end may have been written down while we asked.
            _ if !supervised => match read(&path)? {
                Some(record) => record,
                None => return Ok(None),
            },
            _ => first,
        };
        Ok(Some(Found {
            path,
            status: record.status(supervised),
            record,
        }))
    }
}

impl Place {
    /// Writes down how far the container has come.
    pub(super) fn advance(&mut self, stage: Stage) -> Result<(), DoorError> {
        self.record.stage = stage;
        self.write()
    }

    /// Gives the name back; nothing of the container is left.
    pub(super) fn remove(&self) -> Result<(), DoorError> {
        self.containers.remove_directory(&self.path)
    }

    fn write(&self) -> Result<(), DoorError> {
        let path = self.path.join(STATE);
        let new = self.path.join(".state.new");
        let text = serde_json::to_vec(&self.record).map_err(io::Error::from);
        text.and_then(|text| fs::write(&new, text))
            .and_then(|()| fs::rename(&new, &path))
            .map_err(DoorError::disk("write", &path))
    }
}

impl Found {
    /// Connects to its supervisor.
    ///
    /// # Errors
    /// When there is none any more.
    pub(super) fn connect(&self) -> Result<OwnedFd, DoorError> {
        message::connect(&self.path, CONTROL).map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => DoorError::NotRunning {
                name: self.record.name.clone(),
            },
            _ => DoorError::system("reach the container's supervisor")(error),
        })
    }
}

fn read(path: &Path) -> Result<Option<Record>, DoorError> {
    let file = path.join(STATE);
    match fs::read(&file) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| DoorError::disk("understand", &file)(error.into())),
        Err(error)
            if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) =>
        {
            Ok(None)
        }
        Err(error) => Err(DoorError::disk("read", &file)(error)),
    }
}

/// A queue of connections that is full is somebody's who lives, too.
fn is_supervised(path: &Path) -> bool {
    match message::connect(path, CONTROL) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> Record {
        Record {
            name: name.parse().unwrap(),
            image: "host".to_owned(),
            command: vec!["true".to_owned()],
            created: 0,
            supervisor: 1,
            stage: Stage::Preparing,
        }
    }

    #[tokio::test]
    async fn a_name_is_had_once_until_it_is_given_back() {
        let data = tempfile::tempdir().unwrap();
        let containers = Containers::of(data.path());
        let (place, listener) = containers.claim(record("web")).unwrap();
        assert!(matches!(
            containers.claim(record("web")),
            Err(DoorError::NameTaken { .. })
        ));
        assert_eq!(containers.find("web").unwrap().status, Status::Preparing);
        drop(listener);
        assert_eq!(containers.find("web").unwrap().status, Status::Dead);
        place.remove().unwrap();
        assert!(containers.find("web").is_err());
        // Nothing hidden is left either.
        assert_eq!(fs::read_dir(&containers.directory).unwrap().count(), 0);
        containers.claim(record("web")).unwrap();
    }

    #[tokio::test]
    async fn a_name_nobody_chose_may_be_shortened() {
        let data = tempfile::tempdir().unwrap();
        let containers = Containers::of(data.path());
        let mut kept = Vec::new();
        for name in ["0123456789ab", "0124456789ab", "012-own"] {
            kept.push(containers.claim(record(name)).unwrap());
        }
        let found = |text: &str| {
            containers
                .find(text)
                .map(|found| found.record.name.to_string())
        };
        assert_eq!(found("0123").unwrap(), "0123456789ab");
        assert!(matches!(found("012"), Err(DoorError::Ambiguous { .. })));
        assert!(found("012-").is_err() && found("").is_err() && found("../x").is_err());
    }

    #[tokio::test]
    async fn what_nobody_has_named_is_forgotten_in_the_end() {
        let data = tempfile::tempdir().unwrap();
        let containers = Containers::of(data.path());
        let claim = |name: String, created| {
            let mut record = record(&name);
            record.created = created;
            containers.claim(record).unwrap()
        };
        let named = claim("named".to_owned(), 0);
        let running = claim("ffffffffffff".to_owned(), 0);
        for number in 0..KEPT + 2 {
            drop(claim(format!("{number:012x}"), 1 + number as u64));
        }
        containers.tidy();
        let left = containers.all().unwrap();
        assert_eq!(left.len(), KEPT + 2);
        let names: Vec<_> = left
            .iter()
            .map(|found| found.record.name.as_str())
            .collect();
        assert!(names.contains(&"named") && names.contains(&"ffffffffffff"));
        assert!(!names.contains(&"000000000001") && names.contains(&"000000000002"));
        drop((named, running));
    }
}
